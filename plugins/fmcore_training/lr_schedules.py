"""The learning-rate schedules: a linear warm-up, then one of four shapes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge, Gt, Le

from fmcore import LearningRate

__all__ = ["Constant", "Cosine", "Linear", "WarmupStableDecay"]

Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class _Warmup(LearningRate, ABC):
    warmup: Annotated[int, Ge(0)] = 0
    start: Share = 0.0

    @final
    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return self.start + (1 - self.start) * step / self.warmup
        return self.after_warmup(step, steps)

    @abstractmethod
    def after_warmup(self, step: int, steps: int) -> float:
        """Return the factor of a step at or after the end of the warm-up."""


@final
@dataclass(frozen=True)
class Constant(_Warmup):
    """The factor rises linearly from `start` to 1 over `warmup` steps, and stays there."""

    def after_warmup(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class _Decay(_Warmup, ABC):
    end: Share = 0.0

    @final
    def after_warmup(self, step: int, steps: int) -> float:
        first = self.first_step_of_decay(steps)
        if step < first:
            return 1.0
        # steps - 1, so that the last step itself, not the one after it, has `end`
        done = (step - first) / max(1, steps - 1 - first)
        return self.end + (1 - self.end) * self.remaining(done)

    def first_step_of_decay(self, steps: int) -> int:
        """Return the step from which the factor falls."""
        return self.warmup

    @abstractmethod
    def remaining(self, done: float) -> float:
        """Return the share that is left of 1 - `end`, after the share `done` of the decay."""


@final
@dataclass(frozen=True)
class Linear(_Decay):
    """After the warm-up the factor falls linearly to `end` at the last step.

    Source: Lipman et al. 2023 (arXiv 2210.02747), table 3 ("polynomial decay"): from 1e-8 to the
    rate and back to 1e-8, so that `start` and `end` are 1e-8 / `train.lr`.
    """

    def remaining(self, done: float) -> float:
        return 1 - done


@final
@dataclass(frozen=True)
class Cosine(_Decay):
    """After the warm-up the factor falls to `end` at the last step, along half a cosine.

    Source: Loshchilov and Hutter 2016 (arXiv 1608.03983), eq. 5, without restarts.
    """

    def remaining(self, done: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * done))


@final
@dataclass(frozen=True)
class WarmupStableDecay(_Decay):
    """After the warm-up the factor is 1; over the last `decay` of the training it falls linearly to
    `end`.

    A training can be continued from any step before the decay.
    Source: Hu et al. 2024 (arXiv 2404.06395), section 4, with a linear decay.
    """

    decay: Annotated[float, Gt(0), Le(1)] = 0.2

    def first_step_of_decay(self, steps: int) -> int:
        return max(self.warmup, steps - math.ceil(self.decay * steps))

    def remaining(self, done: float) -> float:
        return 1 - done
