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
    """Conditional optimal transport: every sample moves in a straight line at constant speed.

    `sigma_min` is the standard deviation at t = 1; the paper prints no value.  The *conditional*
    path is optimal transport; the paper does not claim it of the marginal one.  Source: eq. 20-23.
    """

    sigma_min: Annotated[float, Ge(0), Lt(1)] = 1e-4

    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        sigma = (1 - t) + self.sigma_min * t  # 1 - (1 - sigma_min) t loses digits at t = 1
        return Coefficients(alpha=t, sigma=sigma, d_alpha=one, d_sigma=(self.sigma_min - 1) * one)
