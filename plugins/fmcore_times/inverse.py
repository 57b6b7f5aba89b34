"""Times drawn by the inverse of their distribution function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import Time

__all__ = ["InverseTime"]


@dataclass(frozen=True)
class InverseTime(Time, ABC):
    """A distribution whose author writes `quantile` and `density`."""

    @abstractmethod
    def quantile(self, u: Tensor) -> Tensor:
        """Return the time below which a fraction `u` of the draws is, float64 in and out."""

    @final
    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        # float64: the quantiles of densities with steep ends lose digits in float32
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return self.quantile(u).to(torch.float32).clamp(0, 1)
