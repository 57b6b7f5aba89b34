"""An affine path by its two schedules alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.path import AffinePath, Coefficients

__all__ = ["SchedulePath"]


@dataclass(frozen=True)
class SchedulePath(AffinePath):
    """An affine path whose author writes `alpha` and `sigma`; torch derives the rest.

    Both must be made of differentiable torch operations, element by element.  Where a derivative is
    infinite at an end, as that of sqrt(1 - t), let `t_max` or `t_min` stay off it; where the ends
    lose digits or speed matters, write `coefficients` of an `AffinePath` instead.
    """

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """The share of the data at times `t` of any shape."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """The share of the noise at times `t` of any shape."""

    @final
    def coefficients(self, t: Tensor) -> Coefficients:
        alpha, d_alpha = _with_derivative(self.alpha, t)
        sigma, d_sigma = _with_derivative(self.sigma, t)
        return Coefficients(alpha=alpha, sigma=sigma, d_alpha=d_alpha, d_sigma=d_sigma)


def _with_derivative(schedule: Callable[[Tensor], Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    """Forward mode: one pass for every time, and nothing kept for a backward one."""
    value, derivative = torch.func.jvp(schedule, (t,), (torch.ones_like(t),))[:2]
    return value, derivative
