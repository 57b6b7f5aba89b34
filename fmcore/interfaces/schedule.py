"""Affine paths defined by alpha and sigma alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore.interfaces.derivative import with_derivative
from fmcore.interfaces.path import AffinePath, Coefficients

__all__ = ["SchedulePath"]


@dataclass(frozen=True)
class SchedulePath(AffinePath):
    """An affine path whose author writes `alpha` and `sigma`; torch computes their derivatives.

    Both must consist of differentiable torch operations, element by element.  Where a derivative is
    infinite at an end, as that of sqrt(1 - t), set `t_max` or `t_min` inside it.  Write the
    `coefficients` of an `AffinePath` instead where precision at the ends or speed matters.
    """

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Return the weight of the data at times `t` of any shape."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Return the weight of the noise at times `t` of any shape."""

    @final
    def coefficients(self, t: Tensor) -> Coefficients:
        alpha, d_alpha = with_derivative(self.alpha, t)
        sigma, d_sigma = with_derivative(self.sigma, t)
        return Coefficients(alpha=alpha, sigma=sigma, d_alpha=d_alpha, d_sigma=d_sigma)
