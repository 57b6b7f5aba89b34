"""Checks of a fixed solver's backends: equal results, and no new compilation for a new grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from torch import Tensor

from fmcore.solving import FixedSolver, Problem, Solution
from fmcore.solving.backends import select
from fmcore.solving.backends.cuda_graph import GraphedSteps, Recorder
from fmcore.solving.backends.fused import execute_fused
from fmcore.solving.backends.kernels import best_kernel
from fmcore.solving.fixed.plan import Plan
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.flows import Decay, StraightPath, starts

__all__ = ["BackendChecks", "run_again"]

PATH = StraightPath()
ENDS = (0.1, 0.9)
"""An interval with finite lam on the straight path: only the first and last steps differ from the
others."""


class BackendChecks:
    """Checks of solvers with a plan; part of `SolverSuite`."""

    def test_backends_give_the_eager_answer(self) -> None:
        """The solver runs its plan by the selected backend; the fused and the recorded backend give
        the eager result up to rounding, also with a condition and at requested times.
        """
        solver, x0 = replace(_planned(self), backend="eager"), starts(4)
        rate = starts(4)[:, 0]
        problem = Problem(
            Decay(), x0, *ENDS, path=PATH, condition={"rate": rate}, times=(0.5,), seed=3
        )
        wanted = solver.solve(problem)
        require(wanted.trajectory is not None, "the problem has times, and trajectory is None")
        kernel = best_kernel(x0.device)
        recorded: list[tuple[Any, GraphedSteps]] = []

        def graph(plan: Plan, problem: Problem) -> Solution:
            if not recorded:
                made = GraphedSteps(problem.field, kernel, run_again)
                recorded.append((problem.field, made))
            # a solver that wraps the field gives an equal one at every solve, not the same
            field, steps = recorded[0]
            return steps.execute(plan, replace(problem, field=field))

        for name, backend in (
            ("fused", lambda plan, problem: execute_fused(plan, problem, kernel)),
            ("graph", graph),
            ("graph, a second time", graph),
        ):
            found, calls = _solved_by(backend, solver, problem)
            require(calls > 0, "`solve` does not run a plan by `fmcore.solving.execute_by`")
            require_close(found.x, wanted.x, f"x by {name}", rtol=1e-9, atol=1e-9)
            require(
                found.trajectory is not None, f"the problem has times, and {name} returns no states"
            )
            for ours, theirs in zip(_states(found), _states(wanted), strict=True):
                require_close(ours, theirs, f"states by {name}", rtol=1e-9, atol=1e-9)

    def test_new_grid_makes_no_new_kind_of_step(self) -> None:
        """More steps, and steps of other lengths, differ from fewer in their numbers alone, so that
        a step that was compiled or recorded once is used for all.
        """
        solver, field = _planned(self), Decay()
        problem = Problem(field, starts(3), *ENDS, path=PATH)
        graphed = GraphedSteps(field, best_kernel(problem.x0.device), run_again)
        counts = []
        for steps, bend in ((8, 1.0), (11, 1.0), (11, 1.2)):
            grid = [ENDS[0] + (ENDS[1] - ENDS[0]) * (i / steps) ** bend for i in range(steps)]
            own = replace(solver, nfe=None, steps=None, grid=[*grid, ENDS[1]])
            graphed.execute(own.plan(*ENDS, PATH), problem)
            counts.append(graphed.recorded)
        require(
            counts == counts[:1] * 3,
            f"8 steps are of {counts[0]} kinds; with 11, and 11 of other lengths, there are "
            f"{counts[1]} and {counts[2]}: a step must not depend on the number of steps before it",
        )


def _solved_by(
    backend: Callable[[Plan, Problem], Solution], solver: FixedSolver, problem: Problem
) -> tuple[Solution, int]:
    """Return the solution with `backend` in place of the selected one, and how often it was asked.

    The whole of `solve` runs, so that a solver may wrap the field or change the state around it.
    """
    asked = []

    def execute(plan: Plan, problem: Problem, budget: int | None = None) -> Solution:
        asked.append(plan)
        return backend(plan, problem)

    with patch.object(select, "execute", execute):
        return solver.solve(problem), len(asked)


def run_again() -> Recorder:
    """Return a substitute for CUDA graphs on any device: replaying a recording runs it again."""

    def record(step: Callable[[], None]) -> Callable[[], None]:
        step()
        return step

    return record


def _planned(suite: Any) -> FixedSolver:
    component = suite.component()
    if not isinstance(component, FixedSolver):
        skip("only a fixed solver has a plan and backends")
    return component


def _states(solution: Any) -> list[Tensor]:
    return list(solution.trajectory)
