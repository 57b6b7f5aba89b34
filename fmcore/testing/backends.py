"""Checks of a fixed solver's backends: equal results, and no new compilation for a new grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from fmcore.solving import FixedSolver, Problem
from fmcore.solving.backends.cuda_graph import GraphedSteps, Recorder
from fmcore.solving.backends.fused import execute_fused
from fmcore.solving.backends.kernels import best_kernel
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
        """The fused and the recorded backend give the solver's result up to rounding, also with a
        condition and at requested times.
        """
        solver, field, x0 = _planned(self), Decay(), starts(4)
        rate = starts(4)[:, 0]
        problem = Problem(
            field, x0, *ENDS, path=PATH, condition={"rate": rate}, times=(0.5,), seed=3
        )
        plan = solver.plan(*ENDS, PATH, (0.5,))
        wanted = solver.solve(problem)
        kernel = best_kernel(x0.device)
        steps = GraphedSteps(field, kernel, run_again)
        for name, found in (
            ("fused", execute_fused(plan, problem, kernel)),
            ("graph", steps.execute(plan, problem)),
            ("graph, a second time", steps.execute(plan, problem)),
        ):
            require_close(found.x, wanted.x, f"x by {name}", rtol=1e-9, atol=1e-9)
            require(
                found.trajectory is not None and wanted.trajectory is not None,
                f"the problem has times, and {name} returns no trajectory",
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
