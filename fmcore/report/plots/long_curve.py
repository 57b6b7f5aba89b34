"""Curves of many points: a smoothed one, and one of few points that looks the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SMOOTHING", "Numbers", "envelope", "smooth"]

SMOOTHING = 0.02
"""The share of a curve that its smoothed form averages to each side."""

Numbers = npt.NDArray[np.float64]


def smooth(values: Numbers, half: int | None = None) -> Numbers:
    """Return the mean over `half` values to each side, by default SMOOTHING of all; it is over
    fewer near the ends.  Takes time linear in the number of values.
    """
    half = round(len(values) * SMOOTHING) if half is None else half
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    mean: Numbers = (sums[last] - sums[first]) / (last - first)
    return mean


def envelope(x: Numbers, y: Numbers, columns: int) -> npt.NDArray[np.intp]:
    """Return the places of the lowest and the highest y in each of `columns` equal parts of the
    range of x, in ascending order: drawn `columns` pixels wide, they look like all points.

    All places, if there are at most 2 * columns of them.
    """
    if len(x) <= 2 * columns:
        return np.arange(len(x))
    low, high = float(x.min()), float(x.max())
    part = np.minimum(((x - low) * (columns / ((high - low) or 1.0))).astype(int), columns - 1)
    order = np.lexsort((y, part))
    ends = np.flatnonzero(np.diff(part[order], append=columns))
    starts = np.concatenate([[0], ends[:-1] + 1])
    # the ends of the curve too, which would otherwise begin and stop within a part
    kept = np.concatenate([order[starts], order[ends], [0, len(x) - 1]])
    return np.unique(kept)
