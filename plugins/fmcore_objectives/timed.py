"""The distribution of training times, shared by all regressions of this plugin."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from fmcore import ComponentError, Regression, Time, UniformTime

__all__ = ["Timed"]


@dataclass(frozen=True)
class Timed(Regression, ABC):
    """An objective that draws its training times from the distribution `time`; `uniform` is the
    paper's.

    `time_min` and `time_max` restrict the draw to a part of the path's interval, in fractions of
    it.  `loss_on` squares the error of another quantity than the prediction, by a factor of t that
    is at most `max_factor`.
    """

    time: Time = field(default_factory=UniformTime)
    time_min: Annotated[float, Ge(0), Le(1)] = 0.0
    time_max: Annotated[float, Ge(0), Le(1)] = 1.0
    loss_on: Literal["velocity", "data", "noise"] | None = None
    max_factor: Annotated[float, Gt(0)] = 400.0  # 1 / .05^2: Li & He 2025, arXiv 2511.13720

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_max <= self.time_min:
            raise ComponentError(
                f"{type(self).__name__}: time_max must be above time_min = {self.time_min}, "
                f"got {self.time_max}"
            )

    @final
    def sample_time(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        fraction = self.time.sample(n, generator, part)
        return self.time_min + (self.time_max - self.time_min) * fraction
