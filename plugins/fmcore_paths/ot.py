"""The straight path of Lipman et al. 2023, section 4.1, example II."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from fmcore import AffinePath, Coefficients

__all__ = ["OTPath"]


@final
@dataclass(frozen=True)
class OTPath(AffinePath):
    """Conditional optimal transport: every point travels straight, at constant speed.

    `sigma_min` is the width left at the data end; the paper prints no value.  The *conditional*
    path is optimal transport, the marginal one is not claimed to be.  Source: eq. 20-23.
    """

    sigma_min: Annotated[float, Ge(0), Lt(1)] = 1e-4

    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        sigma = (1 - t) + self.sigma_min * t  # 1 - (1 - sigma_min) t loses digits at t = 1
        return Coefficients(alpha=t, sigma=sigma, d_alpha=one, d_sigma=(self.sigma_min - 1) * one)
