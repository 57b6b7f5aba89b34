"""What solvers are built with: problems, plans and the executor, tableaus, grids."""

from __future__ import annotations

from fmcore.interfaces.problem import (
    Augmentation,
    Callback,
    Derivative,
    Divergence,
    Gradients,
    Moment,
    ProbeLaw,
    Problem,
    Solution,
    Stats,
    Status,
)
from fmcore.solving.adaptive.controller import Controller
from fmcore.solving.adaptive.options import Coupling
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
from fmcore.solving.fixed.plan import Call, Combine, Draft, Noise, Plan
from fmcore.solving.fixed.schedule import Point, Schedule
from fmcore.solving.fixed.solver import FixedSolver
from fmcore.solving.fixed.stochastic import StochasticSolver
from fmcore.solving.fixed.symbolic import Linear
from fmcore.solving.interval import asked_times, inside, interval, rounded_inside
from fmcore.solving.product import Parts, ProductField, ProductState
from fmcore.solving.runge_kutta import RungeKutta
from fmcore.solving.tableau import Tableau

__all__ = [
    "AdaptiveSolver",
    "Augmentation",
    "AutoGrid",
    "Backend",
    "Call",
    "Callback",
    "Canonical",
    "Combine",
    "CompiledSteps",
    "Controller",
    "Coupling",
    "Derivative",
    "Divergence",
    "Draft",
    "FixedSolver",
    "Gradients",
    "GridName",
    "Linear",
    "Moment",
    "Noise",
    "Parts",
    "Plan",
    "Point",
    "ProbeLaw",
    "Problem",
    "ProductField",
    "ProductState",
    "RungeKutta",
    "Schedule",
    "Solution",
    "Stats",
    "Status",
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
