"""Checks of a solver's accuracy, order and precision."""

from __future__ import annotations

import itertools
import math

import torch

from fmcore.interfaces.solver import Solver
from fmcore.solving import FixedSolver, Solution, Status
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.flows import Decay, Recording, starts
from fmcore.testing.solver_laws.subject import (
    ACCURATE,
    INNER,
    SolverChecks,
    options_of,
    problem_of,
    with_options,
    without_noise,
)

__all__ = ["AccuracyChecks"]


class AccuracyChecks(SolverChecks):
    """Checks of accuracy, order and precision; part of `SolverSuite`."""

    def test_reaches_the_known_solution_in_both_directions(self) -> None:
        """x(t1) is the solution of dx/dt = u from x0 at t0, forward and backward."""
        x0 = starts(8)
        for t0, t1 in (INNER, INNER[::-1]):
            solution = self.good().solve(problem_of(x0, t0, t1))
            message = f"from t = {t0} to {t1}"
            require_close(
                solution.x, Decay.exact(x0, t0, t1), message, rtol=ACCURATE, atol=ACCURATE
            )
            _all_succeeded(solution, message)

    def test_error_falls_at_the_order_claimed(self) -> None:
        """Twice as many steps divide the error by 2^order, in both directions; for an adaptive
        solver the error follows the tolerance.

        The first steps are small, so that a multistep method's start of low order has no effect.
        """
        component = without_noise(self.component())
        if isinstance(component, FixedSolver):
            for t0, t1 in (INNER, INNER[::-1]):
                observed = _observed_order(component, t0, t1)
                require(
                    observed > component.order - 0.6,
                    f"claims order {component.order}; its error from t = {t0} to {t1} falls at "
                    f"order {observed:.2f}",
                )
        elif {"rtol", "atol"} <= options_of(component):
            loose, tight = (
                _error(with_options(component, rtol=tol, atol=tol), *INNER) for tol in (1e-3, 1e-6)
            )
            require(
                tight < 1e-4 and tight < max(loose / 10, 1e-6),
                f"error {loose:.1e} at tolerance 1e-3 and {tight:.1e} at 1e-6: it must follow the "
                "tolerance",
            )
        else:
            skip("neither a fixed solver nor one with tolerances")

    def test_order_holds_on_uneven_grids(self) -> None:
        """A fixed solver keeps its order where step sizes alternate by a factor of 2: the weights
        of a multistep method depend on the grid."""
        component = without_noise(self.component())
        if not isinstance(component, FixedSolver):
            skip("only a fixed solver takes an explicit grid")
        observed = _observed_order(component, *INNER, alternating=True)
        require(
            observed > component.order - 0.6,
            f"claims order {component.order}; with alternating step sizes its error falls at order "
            f"{observed:.2f}: are its weights those of equal steps?",
        )

    def test_state_and_time_are_at_least_float32(self) -> None:
        """From a bfloat16 x0 the field is called with float32 x and t, distinct times stay
        distinct, and x is returned in float32.
        """
        field = Recording(Decay())
        x0 = starts(3).to(torch.bfloat16)
        solution = self.good().solve(problem_of(x0, *INNER, field=field))
        require(
            field.dtypes == {torch.float32} and solution.x.dtype == torch.float32,
            f"from bfloat16 the field is called with {field.dtypes}, and x is {solution.x.dtype}",
        )
        fine = Recording(Decay())
        self.good().solve(problem_of(x0.double(), *INNER, field=fine))
        if isinstance(self.component(), FixedSolver):
            distinct, wanted = (len(set(torch.cat(f.times).tolist())) for f in (field, fine))
            require(distinct == wanted, f"{wanted} different times became {distinct} in float32")

    def test_float64_stays_float64(self) -> None:
        """A float64 x0 is solved, timed and returned in float64."""
        field = Recording(Decay())
        solution = self.component().solve(problem_of(starts(3), *INNER, field=field))
        require(
            field.dtypes == {torch.float64} and solution.x.dtype == torch.float64,
            f"from float64 the field is called with {field.dtypes}, and x is {solution.x.dtype}",
        )

    def test_empty_interval_is_the_identity(self) -> None:
        """From t0 to t0 the solver returns x0 without calling the field."""
        x0 = starts(3)
        field = Recording(Decay())
        solution = self.component().solve(problem_of(x0, 0.5, 0.5, field=field))
        require_close(solution.x, x0, "from t = 0.5 to 0.5", rtol=0, atol=0)
        require(field.calls == 0, f"it called the field {field.calls} times")


def _error(solver: Solver, t0: float, t1: float) -> float:
    x0 = starts(8)
    return float((solver.solve(problem_of(x0, t0, t1)).x - Decay.exact(x0, t0, t1)).abs().max())


def _observed_order(
    solver: FixedSolver, t0: float, t1: float, *, alternating: bool = False
) -> float:
    errors = []
    for n in (96, 192):
        grid = [t0 + (t1 - t0) * w for w in _fractions(n, alternating)]
        errors.append(_error(with_options(solver, nfe=None, steps=None, grid=grid), t0, t1))
    return math.log2(errors[0] / max(errors[1], 1e-16))


def _fractions(n: int, alternating: bool) -> list[float]:
    """Return a grid of `n` steps in [0, 1], whose steps grow from the start."""
    lengths = [(2 * i + 1) * (1 + (alternating and i % 2)) for i in range(n)]
    times = [0.0, *itertools.accumulate(lengths)]
    return [t / times[-1] for t in times]


def _all_succeeded(solution: Solution, what: str) -> None:
    statuses = sorted(set(solution.status.tolist()))
    require(statuses == [Status.SUCCESS], f"{what} the statuses are {statuses}")
