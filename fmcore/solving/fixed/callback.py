"""What the callback of a solve by a plan is told after each step."""

from __future__ import annotations

from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, SolverProgress
from fmcore.solving.fixed.plan import Plan

__all__ = ["tell"]


def tell(problem: Problem, plan: Plan, step: int, state: Tensor | None) -> None:
    """Give the problem's callback the moment after `step`, counted from 0, with the `state` there;
    None where the plan does not keep it.
    """
    done, steps = step + 1, len(plan.spans)

    def copied() -> Tensor:
        if state is None:
            raise ComponentError(
                f"this solver does not keep the state after step {done}, which nothing that "
                "follows reads: ask for states with Problem(times=...)"
            )
        return state.detach().clone()

    if problem.callback is not None:
        running = len(problem.x0) if done < steps else 0
        problem.callback(SolverProgress(done / steps, done, running, copied))
