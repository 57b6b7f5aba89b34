"""The CPU time of a training step, for trainings that have to fit into a given time."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from torch import Tensor

import fmcore
from fmcore.training.step import Step

__all__ = ["step_seconds"]


def step_seconds(recipe: fmcore.Recipe, out: Path) -> float:
    """Return the median CPU time of a step, from all steps of `recipe`, trained in `out`."""
    times: list[float] = []
    forward = Step.forward

    def timed(step: Step, *arguments: Any) -> tuple[Tensor, Tensor]:
        times.append(time.process_time())
        return forward(step, *arguments)

    Step.forward = timed  # type: ignore[method-assign]
    try:
        fmcore.run(recipe, out=out, device="cpu", quiet=True)
    finally:
        Step.forward = forward  # type: ignore[method-assign]
    return median(second - first for first, second in pairwise(times))
