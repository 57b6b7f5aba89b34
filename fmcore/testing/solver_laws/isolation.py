"""Checks that a sample does not depend on its batch, nor on the failure of others."""

from __future__ import annotations

import math

import torch

from fmcore.errors import SolverError
from fmcore.solving import Status
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.flows import Decay, starts
from fmcore.testing.solver_laws.subject import (
    ACCURATE,
    INNER,
    SolverChecks,
    needs,
    problem_of,
    rows_are_independent,
    with_options,
)

__all__ = ["IsolationChecks"]


class IsolationChecks(SolverChecks):
    """Checks of the independence of samples; part of `SolverSuite`."""

    def test_failing_sample_is_isolated(self) -> None:
        """A sample whose velocity is NaN ends NONFINITE; the others end as they do without it."""
        x0, rate = starts(6), torch.ones(6, dtype=torch.float64)
        others = [0, 1, 2, 4, 5]
        solver = self.component()
        ids = torch.arange(6)
        without = solver.solve(
            problem_of(x0[others], *INNER, condition={"rate": rate[others]}, sample_ids=ids[others])
        )
        rate[3] = math.nan
        solution = solver.solve(problem_of(x0, *INNER, condition={"rate": rate}, sample_ids=ids))
        statuses = solution.status.tolist()
        wanted = [Status.NONFINITE if i == 3 else Status.SUCCESS for i in range(6)]
        require(
            statuses == wanted,
            f"sample 3 of 6 fails; the statuses are {statuses}, should be "
            f"{[int(s) for s in wanted]}",
        )
        tolerance = 1e-9 if rows_are_independent(solver) else 1e-3
        require_close(
            solution.x[others], without.x, "with a failing sample", rtol=tolerance, atol=tolerance
        )

    def test_failures_raise_only_with_throw(self) -> None:
        """`throw=True` raises SolverError at the end, with sample and status in the message."""
        solver = with_options(needs(self.component(), "throw"), throw=True)
        rate = torch.tensor([1.0, math.nan], dtype=torch.float64)
        try:
            solver.solve(problem_of(starts(2), *INNER, condition={"rate": rate}))
        except SolverError as error:
            require("NONFINITE" in str(error), f"the message does not name the status: {error}")
            return
        require(False, "throw=True, and a failing sample raised no error")

    def test_sample_does_not_depend_on_its_batch(self) -> None:
        """Alone, in a batch and in another order, a sample gives the same result up to rounding."""
        solver = self.component()
        if not rows_are_independent(solver):
            skip("its samples share one step size")
        x0, ids = starts(16), torch.arange(16)
        together = solver.solve(problem_of(x0, *INNER, sample_ids=ids)).x
        for what, rows in (("alone", ids[3:4]), ("in another order", ids.flip(0))):
            found = solver.solve(problem_of(x0[rows], *INNER, sample_ids=ids[rows])).x
            require_close(found, together[rows], f"a sample {what}", rtol=1e-9, atol=1e-9)

    def test_conditions_stay_with_their_samples(self) -> None:
        """Row i of the condition stays with row i of x when the solver removes or moves rows."""
        x0 = starts(40)
        rate = torch.linspace(0.1, 1.0, 40, dtype=torch.float64)
        solution = self.good().solve(problem_of(x0, *INNER, condition={"rate": rate}))
        wanted = Decay.exact(x0, *INNER, rate)
        require_close(solution.x, wanted, "with a condition", rtol=ACCURATE, atol=ACCURATE)
