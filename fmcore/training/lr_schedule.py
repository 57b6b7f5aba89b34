"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from fmcore.recipe.sections import Train

__all__ = ["learning_rate"]

WARMUP_START = 1e-8
"""The learning rate at which the paper's warm-up begins (Table 3)."""


def learning_rate(step: int, train: Train) -> float:
    """Return the learning rate of step `step`, counted from 0.

    A linear warm-up over `train.warmup` steps, then the schedule down to `lr_end` at the last step.

    >>> learning_rate(999, Train(steps=1000, lr=1e-3, schedule="linear"))
    1e-08
    """
    if step < train.warmup:
        return WARMUP_START + (train.lr - WARMUP_START) * step / train.warmup
    if train.schedule == "constant":
        return train.lr
    # steps - 1, so that the last step itself, not the one after it, has lr_end
    done = (step - train.warmup) / max(1, train.steps - 1 - train.warmup)
    left = 1 - done if train.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return train.lr_end + (train.lr - train.lr_end) * left
