"""The interval of a solve: inside the path's, also after rounding to the state's precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fmcore.errors import ComponentError
from fmcore.interfaces.path import Path
from fmcore.interfaces.problem import Problem

__all__ = ["asked_times", "inside", "interval", "rounded_inside"]


def inside(t: float, path: Path | None) -> float:
    """Return the point of the path's interval nearest to `t`: 0 and 1 stand for its ends.

    Raises ComponentError for a time that is not finite, or with a path outside [0, 1].
    """
    # Explicit grids come here too, which `Problem` has not checked.
    if not np.isfinite(t):
        raise ComponentError(f"a solve needs finite times, got {t}")
    if path is None:
        return float(t)
    if not 0 <= t <= 1:
        raise ComponentError(
            f"time {t} is outside [0, 1]; {type(path).__name__} runs from {path.t_min} to "
            f"{path.t_max}: give times in [0, 1], whose ends stand for the path's own"
        )
    # At the ends of [0, 1] the velocity of some paths is infinite.
    return float(min(max(t, path.t_min), path.t_max))


def interval(problem: Problem) -> tuple[float, float]:
    """Return the problem's t0 and t1 inside its path's interval."""
    return inside(problem.t0, problem.path), inside(problem.t1, problem.path)


def asked_times(problem: Problem) -> tuple[float, ...]:
    """Return the problem's `times` inside its path's interval.

    Raises ComponentError for a time outside the solve.
    """
    t0, t1 = interval(problem)
    times = tuple(inside(t, problem.path) for t in problem.times or ())
    for t in times:
        if not min(t0, t1) <= t <= max(t0, t1):
            raise ComponentError(
                f"asked for the state at time {t}, but the solve goes from {t0} to {t1}: "
                "ask for times in between"
            )
    return times


def rounded_inside(
    times: Sequence[float], low: float, high: float, dtype: torch.dtype
) -> NDArray[np.float64]:
    """Return `times` rounded to `dtype`, as float64, none rounded past `low` or `high`."""
    # Rounding to nearest may leave the interval, where a path's velocity may not exist.
    values = np.asarray(times, dtype=np.float64)
    if dtype == torch.float64:
        return np.clip(values, low, high)
    lowest, highest = float32_within(low, high)
    return np.clip(values.astype(np.float32), lowest, highest).astype(np.float64)


def float32_within(low: float, high: float) -> tuple[np.float32, np.float32]:
    """Return the smallest and the largest float32 in [low, high]."""
    lowest, highest = np.float32(low), np.float32(high)
    # np.float32 rounds to nearest: the neighbour inside is at most one step away.
    if float(lowest) < low:
        lowest = np.nextafter(lowest, np.float32(np.inf))
    if float(highest) > high:
        highest = np.nextafter(highest, np.float32(-np.inf))
    return lowest, highest
