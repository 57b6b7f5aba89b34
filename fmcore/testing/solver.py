"""Checks of the laws of `Solver`, on one solver; checks that do not apply are skipped with the
reason.
"""

from __future__ import annotations

from fmcore.interfaces.solver import Solver
from fmcore.testing.backends import BackendChecks
from fmcore.testing.options import ComponentChecks
from fmcore.testing.solver_laws.accuracy import AccuracyChecks
from fmcore.testing.solver_laws.budget import BudgetChecks
from fmcore.testing.solver_laws.derivatives import DerivativeChecks
from fmcore.testing.solver_laws.inputs import InputChecks
from fmcore.testing.solver_laws.interval import IntervalChecks
from fmcore.testing.solver_laws.isolation import IsolationChecks
from fmcore.testing.solver_laws.noise import NoiseChecks
from fmcore.testing.suite import Suite

__all__ = ["SolverSuite"]


class SolverSuite(
    BackendChecks,
    DerivativeChecks,
    NoiseChecks,
    InputChecks,
    IsolationChecks,
    BudgetChecks,
    IntervalChecks,
    AccuracyChecks,
    ComponentChecks,
    Suite,
):
    """Override `component()` to build the solver, with any budget or tolerance.

    The checks solve u = -(1 + t) x^2, whose solution is known, on the straight path.
    """

    interface = Solver
