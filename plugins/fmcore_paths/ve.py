"""The variance-exploding diffusion path of Lipman et al. 2023, section 4.1, example I."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fmcore import AffinePath, Coefficients, ComponentError

__all__ = ["VEPath"]


@final
@dataclass(frozen=True)
class VEPath(AffinePath):
    """alpha = 1; sigma decreases geometrically from `sigma_max` at the noise to `sigma_min` at the
    data.

    The prior is N(0, sigma_max^2 I).  The paper requires sigma = 0 at the data and trains no VE
    model; the schedule and its defaults are Song et al.'s, which end at sigma_min > 0, so that the
    velocity is finite on all of [0, 1].
    Source: eq. 16-17; Song et al. 2021 (arXiv 2011.13456), eq. 31.
    """

    # within these bounds sigma and its powers are finite in float32
    sigma_min: Annotated[float, Ge(1e-9), Le(1e9)] = 0.01
    sigma_max: Annotated[float, Ge(1e-9), Le(1e9)] = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma_max <= self.sigma_min:
            raise ComponentError(
                f"VEPath: sigma_max must be above sigma_min = {self.sigma_min}, "
                f"got {self.sigma_max}"
            )

    def coefficients(self, t: Tensor) -> Coefficients:
        sigma = self.sigma_max ** (1 - t) * self.sigma_min**t  # exact at both ends
        d_sigma = math.log(self.sigma_min / self.sigma_max) * sigma
        one = torch.ones_like(t)
        return Coefficients(alpha=one, sigma=sigma, d_alpha=torch.zeros_like(t), d_sigma=d_sigma)
