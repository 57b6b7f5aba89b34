"""Interface of learning-rate schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from fmcore.interfaces.options import Options

__all__ = ["LearningRate"]


class LearningRate(Options, ABC):
    """The learning rate over a training, as a factor of `train.lr`.

    Laws:
    * `factor` is finite and >= 0 at every step, and depends on its arguments alone.
    * Its maximum over a long training is 1, so that `train.lr` is the largest rate.
    """

    kind: ClassVar[str] = "lr_schedule"

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """Return the factor of step `step` of a training of `steps`: 0 <= step < steps."""
