"""Times with a power as density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt, Le
from torch import Tensor

from fmcore_times.inverse import InverseTime

__all__ = ["Power"]


@final
@dataclass(frozen=True)
class Power(InverseTime):
    """Density power t^(power - 1): above 1 more times are near the data, below 1 near the noise.

    It is the distribution of u^(1 / power) for a uniform u.
    """

    power: Annotated[float, Gt(0), Le(100)] = 2.0

    def quantile(self, u: Tensor) -> Tensor:
        return u ** (1 / self.power)

    def density(self, t: Tensor) -> Tensor:
        return self.power * t ** (self.power - 1)
