"""Building blocks of solvers: problems, plans and their backends, tableaus, grids."""

from __future__ import annotations

from fmcore.interfaces.problem import (
    Augmentation,
    Autodiff,
    Divergence,
    Gradients,
    ProbeLaw,
    Problem,
    Solution,
    SolverCallback,
    SolverProgress,
    Stats,
    Status,
)
from fmcore.solving.adaptive.controller import Controller, StepControl
from fmcore.solving.adaptive.solver import AdaptiveSolver
from fmcore.solving.backends.compiled import CompiledSteps
from fmcore.solving.backends.eager import execute
from fmcore.solving.backends.select import Backend, execute_by
from fmcore.solving.evaluation import (
    bound_field,
    check_velocity,
    label_of,
    raise_if_failed,
    state_of,
)
from fmcore.solving.fixed.canonical import Canonical, canonical
from fmcore.solving.fixed.grids import AutoGrid, GridName, auto_grid, make_grid
from fmcore.solving.fixed.plan import Call, Combine, LinearExpr, Noise, Plan, PlanBuilder
from fmcore.solving.fixed.schedule import Point, Schedule
from fmcore.solving.fixed.solver import FixedSolver, RungeKutta, StochasticSolver
from fmcore.solving.interval import asked_times, inside, interval, rounded_inside
from fmcore.solving.product import Parts, ProductField, ProductState
from fmcore.solving.tableau import Tableau

__all__ = [
    "AdaptiveSolver",
    "Augmentation",
    "AutoGrid",
    "Autodiff",
    "Backend",
    "Call",
    "Canonical",
    "Combine",
    "CompiledSteps",
    "Controller",
    "Divergence",
    "FixedSolver",
    "Gradients",
    "GridName",
    "LinearExpr",
    "Noise",
    "Parts",
    "Plan",
    "PlanBuilder",
    "Point",
    "ProbeLaw",
    "Problem",
    "ProductField",
    "ProductState",
    "RungeKutta",
    "Schedule",
    "Solution",
    "SolverCallback",
    "SolverProgress",
    "Stats",
    "Status",
    "StepControl",
    "StochasticSolver",
    "Tableau",
    "asked_times",
    "auto_grid",
    "bound_field",
    "canonical",
    "check_velocity",
    "execute",
    "execute_by",
    "inside",
    "interval",
    "label_of",
    "make_grid",
    "raise_if_failed",
    "rounded_inside",
    "state_of",
]
