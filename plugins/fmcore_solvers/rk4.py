"""Kutta's two methods of fourth order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore.solving import AutoGrid, RungeKutta, Tableau

__all__ = ["RK4", "RK438"]


@final
@dataclass(frozen=True)
class RK4(RungeKutta):
    """Order 4, four evaluations a step: the classical method.

    Its `auto` grid is uniform on every path: the long first step of a grid uniform in log-SNR costs
    it more accuracy than the other steps gain (docs/solvers.md).
    """

    default_grid: ClassVar[AutoGrid] = "uniform"
    tableau = Tableau(a=[["1/2"], [0, "1/2"], [0, 0, 1]], b=["1/6", "1/3", "1/3", "1/6"], order=4)


@final
@dataclass(frozen=True)
class RK438(RungeKutta):
    """Order 4, four evaluations a step: the 3/8 rule, which torchdiffeq calls `rk4`."""

    default_grid: ClassVar[AutoGrid] = "uniform"
    tableau = Tableau(a=[["1/3"], ["-1/3", 1], [1, -1, 1]], b=["1/8", "3/8", "3/8", "1/8"], order=4)
