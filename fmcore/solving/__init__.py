"""What solvers are built with: problems, plans and the executor, tableaus, grids."""

from __future__ import annotations

from fmcore.solving.canonical import Canonical, canonical
from fmcore.solving.executor import execute
from fmcore.solving.fixed import FixedSolver
from fmcore.solving.grids import AutoGrid, GridName, auto_grid, make_grid
from fmcore.solving.linear import Linear
from fmcore.solving.plan import Call, Combine, Draft, Plan
from fmcore.solving.problem import Gradients, Problem, Solution, Stats, Status
from fmcore.solving.runge_kutta import RungeKutta
from fmcore.solving.schedule import Point, Schedule
from fmcore.solving.tableau import Tableau

__all__ = [
    "AutoGrid",
    "Call",
    "Canonical",
    "Combine",
    "Draft",
    "FixedSolver",
    "Gradients",
    "GridName",
    "Linear",
    "Plan",
    "Point",
    "Problem",
    "RungeKutta",
    "Schedule",
    "Solution",
    "Stats",
    "Status",
    "Tableau",
    "auto_grid",
    "canonical",
    "execute",
    "make_grid",
]
