"""Time grids of fixed solvers.

A grid is n + 1 times in float64, strictly monotone from t0 to t1; a backward solve uses the points
of the forward one in reverse.  Notation: lam = log(alpha/sigma), half the log-SNR; w in [0, 1] is
the fraction of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ComponentError
from fmcore.solving.fixed.schedule import Schedule

__all__ = ["AutoGrid", "GridName", "auto_grid", "insert_times", "make_grid"]

Array = NDArray[np.float64]

GridName = Literal["auto", "uniform", "lambda", "edm", "cosine", "shifted"]
"""The time grid of a fixed solver; `auto` is `uniform` or `lambda`, by solver and path."""

AutoGrid = Literal["uniform", "lambda on uneven paths", "lambda on curved paths"]
"""The meaning of `grid="auto"` for a solver: uniform in t, or in lam on paths whose alpha and sigma
change at an uneven speed, or on all paths that are not affine in t (see `Schedule`)."""

LAMBDA_RANGE = (-4.5, 5.5)
"""The range of a grid in lam whose ends are infinite: sigma/alpha from 90 down to 0.004, near EDM's
80 to 0.002."""

EDM_RHO = 7.0  # arXiv 2206.00364, Table 1
SD3_SHIFT = 3.0  # arXiv 2403.03206, section 5.3.2: the resolution-dependent shift at 1024^2


def make_grid(name: GridName, n: int, t0: float, t1: float, schedule: Schedule | None) -> Array:
    """Return a grid of `n` steps from `t0` to `t1`, `(n + 1,)`.

    Raises ComponentError where `name` needs an affine path and `schedule` is None.
    """
    if t1 < t0:
        # One set of points for both directions, so that a solve and its inverse share them.
        return np.ascontiguousarray(make_grid(name, n, t1, t0, schedule)[::-1])
    w = np.linspace(0.0, 1.0, n + 1)
    if name in _OF_TIME:
        grid = t0 + (t1 - t0) * _OF_TIME[name](w)
    elif schedule is None:
        raise ComponentError(
            f"grid '{name}' places times by log(alpha/sigma), which only an affine path defines: "
            "give the problem its path, or use grid 'uniform'"
        )
    else:
        grid = schedule.inverse_lam(_OF_LAMBDA[name](w, *_cut_ends(t0, t1, schedule)))
    grid[0], grid[-1] = t0, t1  # exactly, and where lam was cut off
    return _distinct(grid, name, n)


def auto_grid(rule: AutoGrid, schedule: Schedule | None) -> GridName:
    """Return the grid that suits a solver on this path; measured in docs/benchmarks.md."""
    if schedule is None or rule == "uniform":
        return "uniform"
    if rule == "lambda on uneven paths":
        return "uniform" if schedule.even else "lambda"
    return "uniform" if schedule.straight else "lambda"


def insert_times(grid: Array, times: Iterable[float]) -> Array:
    """Return `grid` with `times` among its points; they replace points that differ by rounding."""
    asked = np.asarray(tuple(times), dtype=np.float64)
    # A step shorter than this would only amplify rounding errors of multistep methods.
    near = 1e-9 * abs(grid[-1] - grid[0])
    far = np.array([np.abs(asked - t).min(initial=np.inf) > near for t in grid])
    # The ends stay exactly t0 and t1.
    far[[0, -1]] = True
    inner = asked[(np.abs(asked - grid[0]) > near) & (np.abs(asked - grid[-1]) > near)]
    merged = np.union1d(grid[far], inner)
    return merged if grid[0] <= grid[-1] else np.ascontiguousarray(merged[::-1])


def _cosine(w: Array) -> Array:
    """Return the extrema of a Chebyshev polynomial: steps shorten towards both ends."""
    return np.sin(0.5 * math.pi * w) ** 2


def _shifted(w: Array) -> Array:
    """Return uniform noise levels s = 1 - t mapped to shift s / (1 + (shift - 1) s): shorter steps
    near the noise.  Source: arXiv 2403.03206, eq. 23.
    """
    return w / (SD3_SHIFT - (SD3_SHIFT - 1) * w)


def _even_lambda(w: Array, first: float, last: float) -> Array:
    return first + (last - first) * w


def _edm(w: Array, first: float, last: float) -> Array:
    """Return lam uniform in (sigma/alpha)^(1/rho).  Source: arXiv 2206.00364, eq. 5."""
    start, end = math.exp(-first / EDM_RHO), math.exp(-last / EDM_RHO)
    return -EDM_RHO * np.log(start + (end - start) * w)


_OF_TIME: dict[str, Callable[[Array], Array]] = {
    "uniform": lambda w: w,
    "cosine": _cosine,
    "shifted": _shifted,
}
_OF_LAMBDA: dict[str, Callable[[Array, float, float], Array]] = {
    "lambda": _even_lambda,
    "edm": _edm,
}


def _cut_ends(t0: float, t1: float, schedule: Schedule) -> tuple[float, float]:
    """Return lam at both ends, finite; an interval beyond the range still gets one unit of lam."""
    first, last = schedule.lam(t0), schedule.lam(t1)
    low, high = LAMBDA_RANGE
    if math.isinf(first):
        first = low if last > low else last - 1
    if math.isinf(last):
        last = high if first < high else first + 1
    return first, last


def _distinct(grid: Array, name: str, n: int) -> Array:
    if not (np.diff(grid) > 0).all():
        raise ComponentError(
            f"grid '{name}' with {n} steps from {grid[0]} to {grid[-1]} has steps that are not "
            "positive: use fewer steps"
        )
    return grid
