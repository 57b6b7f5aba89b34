"""Checks of what a solver must not modify and what it must refuse."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fmcore.errors import ComponentError
from fmcore.solving import Problem
from fmcore.testing.checks import require, require_close, untouched_randomness
from fmcore.testing.flows import Decay, starts
from fmcore.testing.solver_laws.subject import INNER, SolverChecks, possible, problem_of

__all__ = ["InputChecks"]


class InputChecks(SolverChecks):
    """Checks of unmodified and refused inputs; part of `SolverSuite`."""

    def test_x0_is_not_modified(self) -> None:
        """x0 and the tensors that the field returns keep their values and share no memory with the
        result.
        """
        kept = starts(4)
        x0 = kept.clone()
        solution = self.component().solve(problem_of(x0, *INNER))
        solution.x.zero_()
        require(bool((x0 == kept).all()), "solving, or writing into the result, changed x0")
        constant = torch.ones_like(x0)
        self.component().solve(problem_of(x0, *INNER, field=lambda x, t: constant[: len(x)]))
        require(
            bool((constant == 1).all()), "the solver wrote into a tensor that the field returned"
        )

    def test_field_may_return_its_own_argument(self) -> None:
        """A field that returns its argument x gives the same result as one that returns a copy."""
        x0 = starts(4)
        for direction in possible(self.component(), (INNER, INNER[::-1])):
            itself = self.component().solve(problem_of(x0, *direction, field=lambda x, t: x)).x
            copied = (
                self.component().solve(problem_of(x0, *direction, field=lambda x, t: x.clone())).x
            )
            require_close(itself, copied, "a field that returns x", rtol=1e-12, atol=1e-12)

    def test_wrong_velocities_are_refused(self) -> None:
        """A velocity of another shape or dtype raises ComponentError; it is not broadcast."""
        for what, field in (
            ("shape (batch, 1)", lambda x, t: x[:, :1]),
            ("dtype float32 for x of float64", lambda x, t: x.float()),
        ):
            try:
                self.component().solve(problem_of(starts(4), *INNER, field=field))
            except ComponentError:
                continue
            require(False, f"a velocity of {what} was accepted")

    def test_path_is_required_where_needed(self) -> None:
        """A solver with needs_path refuses a problem without a path, and check(None) refuses it
        before training.
        """
        solver = self.component()
        if not solver.needs_path:
            solver.check(None)
            solver.solve(Problem(Decay(), starts(2), *INNER))
            return
        attempts: list[Callable[[], object]] = [
            lambda: solver.check(None),
            lambda: solver.solve(Problem(Decay(), starts(2))),
        ]
        for attempt in attempts:
            try:
                attempt()
            except ComponentError:
                continue
            require(False, "needs_path is set, and a problem without a path was accepted")

    def test_draws_from_no_global_generator(self) -> None:
        """Solving draws from no global generator."""
        with untouched_randomness("solve"):
            self.component().solve(problem_of(starts(3), *INNER))
