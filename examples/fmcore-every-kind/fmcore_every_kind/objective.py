"""Flow matching with more training times near one end of the path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import Path, Quantity, Regression
from torch import Tensor

__all__ = ["EveryObjective"]


@final
@dataclass(frozen=True)
class EveryObjective(Regression):
    """The network learns the velocity; times are drawn with density power t^(power - 1).

    With `power` above 1 more times are near the data, with `power` below 1 near the noise.
    """

    power: Annotated[float, Gt(0)] = 1.5

    @property
    def prediction(self) -> Quantity:
        return "velocity"

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sample_time(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        return torch.rand(n, generator=generator) ** (1 / self.power)
