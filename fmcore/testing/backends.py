"""The laws of a fixed solver's backends: all give the same answer, and a new grid costs nothing."""

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
"""Where lam of the straight path is finite, so that no step is special but the first and last."""


class BackendChecks:
    """Checks of `SolverSuite` that concern solvers with a plan."""

    def test_backends_give_the_eager_answer(self) -> None:
        """Sums gathered into one kernel, and steps recorded over memory that stays, end where the
        solver does, to rounding; also with a condition and at asked-for times.
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
                f"times were asked for, and {name} gives no trajectory",
            )
            for ours, theirs in zip(_states(found), _states(wanted), strict=True):
                require_close(ours, theirs, f"states by {name}", rtol=1e-9, atol=1e-9)

    def test_new_grid_makes_no_new_kind_of_step(self) -> None:
        """More steps, and steps of other lengths, do what fewer do, with other numbers: what was
        compiled or recorded once serves them all.
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
            f"{counts[1]} and {counts[2]}: a step must not depend on how many went before",
        )


def run_again() -> Recorder:
    """Stands for CUDA graphs where there are none: what is recorded is run again."""

    def record(step: Callable[[], None]) -> Callable[[], None]:
        step()
        return step

    return record


def _planned(suite: Any) -> FixedSolver:
    component = suite.component()
    if not isinstance(component, FixedSolver):
        skip("only a fixed solver has a plan, and backends that run it")
    return component


def _states(solution: Any) -> list[Tensor]:
    return list(solution.trajectory)
