"""A Runge-Kutta method of order 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fmcore.solving import RungeKutta, Tableau

__all__ = ["EverySolver"]


@final
@dataclass(frozen=True)
class EverySolver(RungeKutta):
    """Order 3, three evaluations per step; each stage is a convex combination of Euler steps.

    The tableau defines the method; the base class handles budgets and time grids.
    Source: Shu & Osher 1988.
    """

    tableau = Tableau(a=[[1], ["1/4", "1/4"]], b=["1/6", "1/6", "2/3"], order=3)
