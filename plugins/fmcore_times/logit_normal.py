"""Times whose logit is normal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from fmcore import Time

__all__ = ["LogitNormal", "logit_normal_density", "logit_normal_times"]


@final
@dataclass(frozen=True)
class LogitNormal(Time):
    """logit(t) is N(mean, std^2): more times in the middle than near the ends.

    With `mean` above 0 more times are near the data.  Time runs from noise to data here, against
    the paper's, so that its location m is -m here.
    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 19.
    """

    # beyond 10 nearly all draws round to 0 or 1
    mean: Annotated[float, Ge(-10), Le(10)] = 0.0
    std: Annotated[float, Gt(0), Le(10)] = 1.0

    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        return logit_normal_times(n, generator, self.mean, self.std)

    def density(self, t: Tensor) -> Tensor:
        return logit_normal_density(t, self.mean, self.std)


def logit_normal_times(n: int, generator: torch.Generator, mean: float, std: float) -> Tensor:
    """Draw `(n,)` times whose logit is N(mean, std^2)."""
    return torch.randn(n, generator=generator).mul(std).add(mean).sigmoid()


def logit_normal_density(t: Tensor, mean: float, std: float) -> Tensor:
    """Return the density of `logit_normal_times` at `t`; 0 at the ends."""
    z = (torch.logit(t) - mean) / std
    density = torch.exp(-0.5 * z**2) / (std * math.tau**0.5 * t * (1 - t))
    # the exponential falls faster than t (1 - t) does: the limit of 0 / 0 is 0
    return torch.where((t > 0) & (t < 1), density, torch.zeros_like(t))
