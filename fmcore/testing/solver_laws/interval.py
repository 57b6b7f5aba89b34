"""Checks of the times at which the field is called, and of states at intermediate times."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.solving import FixedSolver, SolverProgress
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.flows import Decay, Recording, starts
from fmcore.testing.solver_laws.subject import (
    ACCURATE,
    INNER,
    PATH,
    SolverChecks,
    given,
    possible,
    problem_of,
)

__all__ = ["IntervalChecks"]

ROUNDING = 1e-9
"""How far a node of the plan may miss the interval: rounding of s + h, which a solve corrects."""


class IntervalChecks(SolverChecks):
    """Checks of times; part of `SolverSuite`."""

    def test_field_is_never_called_outside_the_interval(self) -> None:
        """Every call has t in [t0, t1], including stages, the last step and the search for the
        first step, in both directions.
        """
        spans = ((0.0, 1.0), (1.0, 0.0), (0.3, 0.7), (0.7, 0.3))
        for t0, t1 in possible(self.component(), spans):
            for dtype in (torch.float64, torch.float32):
                field = Recording(Decay())
                self.component().solve(problem_of(starts(4, dtype=dtype), t0, t1, field=field))
                first, last = field.span
                require(
                    min(t0, t1) <= first and last <= max(t0, t1),
                    f"from t = {t0} to {t1} in {dtype} the field was called at t in [{first}, "
                    f"{last}]",
                )

    def test_nodes_of_the_plan_are_inside_the_interval(self) -> None:
        """A fixed solver plans no evaluation outside [t0, t1]: a solve would move it to the nearer
        end without a warning."""
        solver = self.component()
        if not isinstance(solver, FixedSolver):
            skip("only a fixed solver has a plan")
        for t0, t1 in possible(solver, (INNER, INNER[::-1])):
            low, high = min(t0, t1), max(t0, t1)
            for call in solver.plan(t0, t1, PATH).calls:
                require(
                    low - ROUNDING <= call.t <= high + ROUNDING,
                    f"from t = {t0} to {t1} the plan evaluates the field at t = {call.t:.6g}",
                )

    def test_field_is_given_a_batch_of_times(self) -> None:
        """The field is called with x of shape (batch, *shape) and t of shape (batch,)."""
        field = Recording(lambda x, t: -x)  # accepts any t
        self.component().solve(problem_of(starts(4, 2, 3), *INNER, field=field))
        for x, t in field.shapes:
            require(
                x[1:] == (2, 3) and t == x[:1],
                f"the field was called with x of shape {x} and t of shape {t}; t must be (batch,)",
            )

    def test_states_at_requested_times(self) -> None:
        """`times` returns the states at these times in the given order, both ends included."""
        x0, times = starts(5), (0.5, 0.1, 0.9, 0.37)
        try:
            solution = self.good().solve(problem_of(x0, *INNER, times=times))
        except ComponentError as error:
            skip(str(error))
        require(solution.trajectory is not None, "the problem has times, and trajectory is None")
        wanted = torch.stack([Decay.exact(x0, 0.1, t) for t in times])
        require_close(
            given(solution.trajectory), wanted, f"states at {times}", rtol=ACCURATE, atol=ACCURATE
        )
        require_close(given(solution.trajectory)[1], x0, "the state at t0", rtol=0, atol=0)

    def test_callback_is_called_and_changes_nothing(self) -> None:
        """The callback is called with increasing progress up to 1 and can read the current states;
        it does not change the result.
        """
        x0 = starts(5)
        seen: list[tuple[float, int, int, Tensor]] = []

        def record(moment: SolverProgress) -> None:
            seen.append((moment.progress, moment.step, moment.running, moment.x))

        plain = self.good().solve(problem_of(x0, *INNER))
        try:
            watched = self.good().solve(problem_of(x0, *INNER, callback=record))
        except ComponentError as error:
            skip(str(error))
        require(len(seen) > 0, "the problem has a callback, and it was never called")
        progress, steps, running, states = zip(*seen, strict=True)
        require(
            list(progress) == sorted(progress) and progress[0] > 0 and progress[-1] == 1,
            f"progress should increase to 1; it is {progress}",
        )
        require(
            steps[-1] == watched.stats.steps and running[-1] == 0,
            f"the last call is at step {steps[-1]} of {watched.stats.steps}, {running[-1]} running",
        )
        require_close(watched.x, plain.x, "the result with a callback", rtol=0, atol=0)
        require_close(states[-1], plain.x, "the states at the last call", rtol=0, atol=0)
        first = states[0]  # some samples may still be at x0
        on_the_way = bool(((plain.x <= first) & (first <= x0)).all() and (first < x0).any())
        require(on_the_way, "the states at the first call are not between x0 and the result")
