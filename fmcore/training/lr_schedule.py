"""The learning rate of a step, from `train.lr` and `train.lr_schedule`."""

from __future__ import annotations

import math

from fmcore.errors import ComponentError
from fmcore.recipe.sections import Train

__all__ = ["check_schedule", "learning_rate"]

CHECKED_STEPS = 1000
"""Steps at which a schedule is checked before training, at most."""


def learning_rate(step: int, train: Train) -> float:
    """Return the learning rate of step `step`, counted from 0.

    Raises ComponentError if the schedule's factor is not finite or is negative.

    >>> learning_rate(999, Train(steps=1000, lr=1e-3))
    0.001
    """
    factor = float(train.lr_schedule.factor(step, train.steps))
    if not math.isfinite(factor) or factor < 0:
        raise ComponentError(
            f"train.lr_schedule: {type(train.lr_schedule).__name__} gives the factor {factor} at "
            f"step {step} of {train.steps}: a factor must be finite and >= 0"
        )
    return train.lr * factor


def check_schedule(train: Train) -> None:
    """Raise ComponentError if the schedule gives a wrong factor at the first or last step, or at
    one of those between that are tried.
    """
    stride = -(-train.steps // CHECKED_STEPS)
    for step in (*range(0, train.steps, stride), train.steps - 1):
        learning_rate(step, train)
