"""The straight path at a speed proportional to a power of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge, Le
from torch import Tensor

from fmcore import AffinePath, Coefficients

__all__ = ["PolynomialPath"]


@final
@dataclass(frozen=True)
class PolynomialPath(AffinePath):
    """alpha = t^degree, sigma = 1 - t^degree: `linear` at time t^degree.

    Above degree 1 every velocity is 0 at t = 0 and does not determine the data there.
    """

    degree: Annotated[float, Ge(1), Le(100)] = 2.0

    def coefficients(self, t: Tensor) -> Coefficients:
        alpha = t**self.degree
        sigma = -(self.degree * t.log()).expm1()  # 1 - t^degree cancels near t = 1
        d_alpha = self.degree * t ** (self.degree - 1)
        return Coefficients(alpha=alpha, sigma=sigma, d_alpha=d_alpha, d_sigma=-d_alpha)
