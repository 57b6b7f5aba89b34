"""Checks of a solve's cost: evaluations, synchronisations, memory and limits."""

from __future__ import annotations

import math

import torch

from fmcore.errors import ComponentError
from fmcore.interfaces.solver import Solver
from fmcore.solving import AdaptiveSolver, FixedSolver, Status
from fmcore.solving.backends.registers import allocate
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.flows import Decay, Recording, Waits, starts
from fmcore.testing.solver_laws.subject import (
    INNER,
    PATH,
    SolverChecks,
    needs,
    problem_of,
    with_options,
)

__all__ = ["BudgetChecks"]


class BudgetChecks(SolverChecks):
    """Checks of costs; part of `SolverSuite`."""

    def test_evaluations_are_counted_where_the_field_is_called(self) -> None:
        """stats.calls is the number of calls, and stats.nfe, `(batch,)` int64, is the number of
        them that each sample used.
        """
        field = Recording(Decay())
        stats = self.component().solve(problem_of(starts(5), *INNER, field=field)).stats
        require(
            stats.calls == field.calls,
            f"stats.calls is {stats.calls}, but the field was called {field.calls} times",
        )
        require(
            stats.nfe.shape == (5,) and stats.nfe.dtype == torch.int64,
            f"stats.nfe must be (batch,) int64, got {tuple(stats.nfe.shape)} of {stats.nfe.dtype}",
        )
        most = int(stats.nfe.max())
        spare = _late_calls(self.component())
        require(
            stats.calls - spare <= most <= stats.calls,
            f"the largest nfe of a sample is {most}, with {stats.calls} calls",
        )

    def test_steps_cost_the_evaluations_claimed(self) -> None:
        """Every further step inside the interval costs `nfe_per_step` evaluations."""
        component = needs(self.component(), "steps")
        claimed = getattr(component, "nfe_per_step", None)
        if claimed is None:
            skip("claims no cost of a step")
        few, many = (
            _calls(with_options(component, nfe=None, steps=n, grid="auto")) for n in (8, 16)
        )
        require(
            many - few == 8 * claimed,
            f"nfe_per_step is {claimed}, and 8 more steps cost {many - few} more evaluations",
        )

    def test_budget_is_used_and_never_exceeded(self) -> None:
        """nfe=N takes as many whole steps as fit into N evaluations."""
        component = needs(self.component(), "nfe", "steps")
        one, two = (_calls(with_options(component, nfe=None, steps=n)) for n in (1, 2))
        for budget in range(one, one + 3 * (two - one) + 2):
            used = _calls(with_options(component, nfe=budget, steps=None))
            require(used <= budget, f"nfe={budget} used {used} evaluations")
            require(
                budget - used < two - one,
                f"nfe={budget} used {used} evaluations; a step costs {two - one}: more fit",
            )

    def test_budget_below_one_step_is_an_error(self) -> None:
        """nfe below the cost of one step raises ComponentError."""
        component = needs(self.component(), "nfe", "steps")
        cost = _calls(with_options(component, nfe=None, steps=1))
        if cost == 1:
            skip("one step costs one evaluation, the smallest budget")
        try:
            poor = with_options(component, nfe=cost - 1, steps=None)
            solution = poor.solve(problem_of(starts(2), *INNER))
        except ComponentError:
            return
        require(False, f"nfe={cost - 1}, below one step, took {solution.stats.calls} evaluations")

    def test_host_rarely_waits_for_the_device(self) -> None:
        """A fixed solver never waits for the device; an adaptive one waits at most
        ceil(steps / poll) + 1 times.
        """
        component = self.component()
        if not isinstance(component, FixedSolver | AdaptiveSolver):
            skip("a solver of another family")
        component.solve(problem_of(starts(4), *INNER))  # plans and constants are cached
        with Waits() as counted:
            solution = component.solve(problem_of(starts(4), *INNER))
        allowed = 0
        if isinstance(component, AdaptiveSolver):
            allowed = math.ceil(solution.stats.steps / (component.sync_every or 1)) + 1
        require(
            counted.waits <= allowed,
            f"{solution.stats.steps} steps made the host wait {counted.waits} times; {allowed} "
            "allowed",
        )

    def test_memory_does_not_grow_with_steps(self) -> None:
        """A fixed solver's buffers are as many for 64 steps as for 16."""
        component = self.component()
        if not isinstance(component, FixedSolver):
            skip("only a fixed solver has a plan with buffers")
        plans = (
            with_options(component, nfe=None, steps=n, grid="auto").plan(*INNER, PATH)
            for n in (16, 64)
        )
        few, many = (allocate(plan).slots for plan in plans)
        require(many <= few, f"{few} buffers for 16 steps became {many} for 64")

    def test_running_out_returns_the_last_state(self) -> None:
        """Without steps or evaluations left, the solver returns a status, the last accepted state
        and its time, and raises no exception.
        """
        solver = needs(self.component(), "max_steps", "max_nfe")
        x0 = starts(4)
        for limits, status in (
            ({"max_steps": 2}, Status.MAX_STEPS),
            ({"max_nfe": 2 * solver.nfe_per_attempt + 3}, Status.MAX_NFE),
        ):
            small = with_options(solver, rtol=1e-9, atol=1e-9, first_step=1e-3, **limits)
            solution = small.solve(problem_of(x0, 0.0, 1.0))
            statuses = sorted(set(solution.status.tolist()))
            require(statuses == [status], f"{limits} ended with {statuses}, should be {status!r}")
            if "max_nfe" in limits:
                used = int(solution.stats.nfe.max())
                require(used <= limits["max_nfe"], f"{limits} used {used} evaluations")
            for i, t in enumerate(solution.t_reached.tolist()):
                require(0 < t < 1, f"{limits}: t_reached is {t}")
                there = Decay.exact(x0[i : i + 1], 0.0, t)
                require_close(solution.x[i : i + 1], there, f"{limits} at t = {t}", rtol=1e-5)


def _late_calls(solver: Solver) -> float:
    """Return the number of calls after a sample has finished: until the next synchronisation, or
    while other samples are solved.
    """
    if not isinstance(solver, AdaptiveSolver):
        return 0
    return (
        math.inf if solver.max_active else solver.nfe_per_attempt * ((solver.sync_every or 1) - 1)
    )


def _calls(solver: Solver) -> int:
    field = Recording(Decay())
    solver.solve(problem_of(starts(2), *INNER, field=field))
    return field.calls
