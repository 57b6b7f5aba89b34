"""Where the steps of a fixed solver end: an axis of its own beside the method.

A grid is n + 1 times in double precision, strictly monotone from t0 to t1; a backward solve takes
the forward one's points in reverse.  Notation: lam = log(alpha/sigma); w in [0, 1] the fraction of
steps done.
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
"""What `grid="auto"` means to a solver: even steps in t unless the path's schedule calls for even
steps in lam.
"""

CUT = (-4.5, 5.5)
"""Where a grid in lam stops short of an infinite end: sigma/alpha from 90 down to 0.004, near EDM's
80 to 0.002.
"""

EDM_RHO = 7.0  # arXiv 2206.00364, Table 1
SD3_SHIFT = (
    3.0  # arXiv 2403.03206, section 5.3.2: the resolution-dependent shift they train with at 1024^2
)


def make_grid(name: GridName, n: int, t0: float, t1: float, schedule: Schedule | None) -> Array:
    """`n` steps from `t0` to `t1`.  Raises ComponentError where `name` needs an affine path and
    there is none.
    """
    if t1 < t0:
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
    grid[0], grid[-1] = t0, t1
    return _distinct(grid, name, n)


def auto_grid(rule: AutoGrid, schedule: Schedule | None) -> GridName:
    """The grid that suits a solver on this path; measured in docs/benchmarks.md."""
    if schedule is None or rule == "uniform":
        return "uniform"
    if rule == "lambda on uneven paths":
        return "uniform" if schedule.even else "lambda"
    return "uniform" if schedule.straight else "lambda"


def insert_times(grid: Array, times: Iterable[float]) -> Array:
    """`grid` with the asked-for times among its points; a point that differs by rounding alone
    gives way.
    """
    asked = np.asarray(tuple(times), dtype=np.float64)
    near = 1e-9 * abs(grid[-1] - grid[0])
    far = np.array([np.abs(asked - t).min(initial=np.inf) > near for t in grid])
    far[[0, -1]] = True
    inner = asked[(np.abs(asked - grid[0]) > near) & (np.abs(asked - grid[-1]) > near)]
    merged = np.union1d(grid[far], inner)
    return merged if grid[0] <= grid[-1] else np.ascontiguousarray(merged[::-1])


def _cosine(w: Array) -> Array:
    """Steps that shorten towards both ends, like Chebyshev's points."""
    return np.sin(0.5 * math.pi * w) ** 2


def _shifted(w: Array) -> Array:
    """Noise level 1 - t mapped by s -> shift s / (1 + (shift - 1) s): more steps near the noise.
    arXiv 2403.03206, eq. 23.
    """
    return w / (SD3_SHIFT - (SD3_SHIFT - 1) * w)


def _even_lambda(w: Array, first: float, last: float) -> Array:
    return first + (last - first) * w


def _edm(w: Array, first: float, last: float) -> Array:
    """(sigma/alpha)^(1/rho) in even steps.  arXiv 2206.00364, eq. 5."""
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
    first, last = schedule.lam(t0), schedule.lam(t1)
    if math.isinf(first):
        first = CUT[0] if last > CUT[0] else last - 1
    if math.isinf(last):
        last = CUT[1] if first < CUT[1] else first + 1
    return first, last


def _distinct(grid: Array, name: str, n: int) -> Array:
    if not (np.diff(grid) > 0).all():
        raise ComponentError(
            f"grid '{name}' with {n} steps from {grid[0]} to {grid[-1]} has steps that are not "
            "positive: take fewer steps"
        )
    return grid
