"""Heavy-tailed times with a mode in the middle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from fmcore_times.inverse import InverseTime

__all__ = ["Mode"]

BISECTIONS = 60
"""Halvings of [0, 1] down to the spacing of float64."""


@final
@dataclass(frozen=True)
class Mode(InverseTime):
    """t = u + scale (cos^2(pi u / 2) - 1 + u) for a uniform u; density 1 / (dt/du).

    `scale` above 0 gives a mode at 1/2, with some density everywhere; below 0 there are more times
    at the ends; 0 is uniform.  dt/du = 1 + scale (1 - pi/2 sin(pi u)) is positive for -1 < scale <
    2 / (pi - 2).  Time runs from noise to data here, so that t is one minus the paper's.
    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 20; its default is 1.29.
    """

    # 2 / (pi - 2) = 1.7519...: there the density at 1/2 becomes infinite
    scale: Annotated[float, Gt(-1), Lt(1.75)] = 1.29

    def quantile(self, u: Tensor) -> Tensor:
        return u + self.scale * ((math.pi / 2 * u).cos() ** 2 - 1 + u)

    def density(self, t: Tensor) -> Tensor:
        u = self._inverse(t.double())
        slope = 1 + self.scale * (1 - math.pi / 2 * (math.pi * u).sin())
        return (1 / slope).to(t.dtype)

    def _inverse(self, t: Tensor) -> Tensor:
        """Return u with quantile(u) = t, by bisection: the quantile increases."""
        low, high = torch.zeros_like(t), torch.ones_like(t)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self.quantile(middle) < t
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2
