"""A learning rate that falls with the inverse root of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from fmcore import LearningRate

__all__ = ["EveryLrSchedule"]


@final
@dataclass(frozen=True)
class EveryLrSchedule(LearningRate):
    """The factor rises linearly over `warmup` steps to 1, then falls as the inverse root."""

    warmup: Annotated[int, Gt(0)] = 100

    def factor(self, step: int, steps: int) -> float:
        number = step + 1  # steps are counted from 0: the first would have no learning rate
        return min(number / self.warmup, (self.warmup / number) ** 0.5)
