"""Training times with a triangular density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from fmcore import Time
from torch import Tensor

__all__ = ["EveryTime"]


@final
@dataclass(frozen=True)
class EveryTime(Time):
    """The density rises linearly from 0 at t = 0 to 2 at `peak`, and falls to 0 at t = 1.

    `sample` draws by the inverse of the distribution function, which is t^2 / peak below the peak.
    """

    peak: Annotated[float, Gt(0), Lt(1)] = 0.5

    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        u = torch.rand(n, generator=generator)
        rising = (u * self.peak).sqrt()
        falling = 1 - ((1 - u) * (1 - self.peak)).sqrt()
        return torch.where(u < self.peak, rising, falling)

    def density(self, t: Tensor) -> Tensor:
        return 2 * torch.minimum(t / self.peak, (1 - t) / (1 - self.peak))
