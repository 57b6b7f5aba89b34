"""What solvers are built with: problems, plans and the executor, tableaus, grids."""

from __future__ import annotations

from fmcore.solving.adaptive import AdaptiveSolver, Coupling
from fmcore.solving.augmentation import Augmentation, Derivative, Divergence, ProbeLaw
from fmcore.solving.backends import Backend, execute_by
from fmcore.solving.canonical import Canonical, canonical
from fmcore.solving.compiled import CompiledSteps
from fmcore.solving.controller import Controller
from fmcore.solving.evaluation import bound_field, check_velocity, state_of
from fmcore.solving.executor import execute
from fmcore.solving.fixed import FixedSolver
from fmcore.solving.grids import AutoGrid, GridName, auto_grid, make_grid
from fmcore.solving.interval import asked_times, inside, interval, rounded_inside
from fmcore.solving.linear import Linear
from fmcore.solving.moment import Callback, Moment
from fmcore.solving.naming import label_of
from fmcore.solving.outcome import raise_if_failed
from fmcore.solving.plan import Call, Combine, Draft, Noise, Plan
from fmcore.solving.problem import Gradients, Problem, Solution, Stats, Status
from fmcore.solving.product import Parts, ProductField, ProductState
from fmcore.solving.runge_kutta import RungeKutta
from fmcore.solving.schedule import Point, Schedule
from fmcore.solving.stochastic import StochasticSolver
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
