"""Every check of the suite fails for a solver that breaks its law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError, Problem, Solution, Solver, Stats, Status
from fmcore.solving import FixedSolver, LinearExpr, PlanBuilder, StochasticSolver
from fmcore.testing import CheckResult, SolverSuite, run_suite
from fmcore_solvers.embedded import Dopri5
from fmcore_solvers.heun import Heun2
from fmcore_solvers.midpoint import Midpoint

Steps = Annotated[int, Gt(0)] | None


@dataclass(frozen=True)
class Plain(Solver):
    """The midpoint rule, implemented correctly: the wrong solvers below derive from it."""

    order: ClassVar[int] = 2
    nfe: Steps = None
    steps: Steps = None
    throw: bool = False

    def solve(self, problem: Problem) -> Solution:
        x, calls = problem.x0.clone(), 0
        steps = self.count(problem)
        times = np.linspace(problem.t0, problem.t1, steps + 1) if problem.t0 != problem.t1 else [0]
        for s, t in pairwise(times):
            k = self.call(problem, x, s)
            x = x + (t - s) * self.call(problem, x + (t - s) / 2 * k, (s + t) / 2)
            calls += 2
        return self.result(x, calls, problem)

    def count(self, problem: Problem) -> int:
        steps = self.steps if self.nfe is None else self.nfe // 2
        if not steps:
            raise ComponentError("too small a budget")
        return steps

    def call(self, problem: Problem, x: Tensor, t: float) -> Tensor:
        time = torch.full((len(x),), t, dtype=x.dtype)
        if problem.condition is None:
            return problem.field(x, time)
        return problem.field(x, time, problem.condition)

    def result(self, x: Tensor, calls: int, problem: Problem) -> Solution:
        status = torch.where(x.isfinite().all(-1), 0, int(Status.NONFINITE))
        nfe = torch.full((len(x),), calls)
        return Solution(x, status, x.new_full((len(x),), problem.t1), Stats(nfe, calls))


class ForgetsDirection(Plain):
    def solve(self, problem: Problem) -> Solution:
        low, high = sorted((problem.t0, problem.t1))
        return super().solve(replace(problem, t0=low, t1=high))


@dataclass(frozen=True)
class SecondOrderAtMost(FixedSolver):
    order = 3
    nfe_per_step = 2

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            k = plan.velocity(x, s)
            x = x + (t - s) * plan.velocity(x + (t - s) / 2 * k, (s + t) / 2)
            yield x


class LooksAhead(Plain):
    def call(self, problem: Problem, x: Tensor, t: float) -> Tensor:
        return super().call(problem, x, t + 1e-3)


class OneTimeForAll(Plain):
    def call(self, problem: Problem, x: Tensor, t: float) -> Tensor:
        return problem.field(x, torch.tensor(t, dtype=x.dtype))


class CountsSteps(Plain):
    def result(self, x: Tensor, calls: int, problem: Problem) -> Solution:
        return super().result(x, calls // 2, problem)


class OverspendsItsBudget(Plain):
    def count(self, problem: Problem) -> int:
        return self.steps if self.steps else (self.nfe or 0) // 2 + 1


class TakesOneStepAnyway(Plain):
    def count(self, problem: Problem) -> int:
        return self.steps if self.steps else max(1, (self.nfe or 0) // 2)


class KeepsHalfPrecision(Plain):
    pass


class AlwaysSingle(Plain):
    def solve(self, problem: Problem) -> Solution:
        return super().solve(replace(problem, x0=problem.x0.float()))


class LooksAtEveryStep(Midpoint.__base__):  # type: ignore[misc, valid-type]
    tableau = Midpoint.tableau

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        float(solution.x.sum())
        return solution


class SpreadsFailure(Plain):
    def result(self, x: Tensor, calls: int, problem: Problem) -> Solution:
        return super().result(x + 0 * x.sum(), calls, problem)


class NeverThrows(Plain):
    pass


class MixesRows(Midpoint.__base__):  # type: ignore[misc, valid-type]
    tableau = Midpoint.tableau

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        return replace(solution, x=solution.x + 1e-3 * solution.x.mean(0))


@dataclass(frozen=True)
class Noisy(StochasticSolver):
    """Euler-Maruyama, correct unless a subclass changes it."""

    order = 1
    in_the_last_step: ClassVar[bool] = False
    without_score: ClassVar[bool] = False

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            u, sigma = plan.velocity(x, s), plan.at(s).sigma
            if self.noise > 0 and (t != grid[-1] or self.in_the_last_step):
                pull = 0.0 if self.without_score else self.noise**2 / 2 * sigma
                z = self.noise * sigma * (t - s) ** 0.5 * plan.fresh()
                x = x + (t - s) * (u - pull * plan.noise(x, s)) + z
            else:
                x = x + (t - s) * u
            yield x


class KicksAtTheEnd(Noisy):
    in_the_last_step = True


class ForgetsTheScore(Noisy):
    without_score = True


class DrawsByPosition(Noisy):
    def solve(self, problem: Problem) -> Solution:
        return super().solve(replace(problem, sample_ids=None))


class DrawsTheSameForAll(Noisy):
    def solve(self, problem: Problem) -> Solution:
        ids = torch.zeros(len(problem.x0), dtype=torch.int64)
        return super().solve(replace(problem, sample_ids=ids))


class ShufflesConditions(Plain):
    def call(self, problem: Problem, x: Tensor, t: float) -> Tensor:
        if problem.condition is not None:
            turned = {name: value.flip(0) for name, value in problem.condition.items()}
            problem = replace(problem, condition=turned)
        return super().call(problem, x, t)


class RaisesWhenOut(Dopri5.__base__):  # type: ignore[misc, valid-type]
    tableau = Dopri5.tableau

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        return replace(solution, t_reached=torch.ones_like(solution.t_reached))


class ForgetsTimes(Plain):
    pass


class ForgetsTheCallback(Plain):
    pass


class WritesIntoStart(Plain):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        problem.x0.add_(1)
        return solution


@dataclass(frozen=True)
class OverwritesArgument(Plain):
    def solve(self, problem: Problem) -> Solution:
        x = problem.x0.clone()
        for s, t in pairwise(np.linspace(problem.t0, problem.t1, (self.steps or 8) + 1)):
            k = self.call(problem, x, s)
            x.mul_(1 + 1e-3)
            x.add_(k, alpha=t - s)
        return self.result(x, 1, problem)


class Broadcasts(Plain):
    pass


class AlwaysCalls(Plain):
    def solve(self, problem: Problem) -> Solution:
        self.call(problem, problem.x0, problem.t0)
        return super().solve(problem)


class NeedsAPathSilently(Plain):
    needs_path = True


class ForgetsDivergence(Plain):
    pass


class KeepsTheGraph(Plain):
    pass


@dataclass(frozen=True)
class RemembersEverything(FixedSolver):
    order = 1

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x, past = plan.start, []
        for s, t in pairwise(grid):
            past.append(plan.velocity(x, s))
            x = x + (t - s) * (past[-1] + 1e-9 * sum(past, LinearExpr({})))
            yield x


@dataclass(frozen=True)
class MovesAfterwards(Heun2):
    """Returns something other than its plan computes."""

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        return replace(solution, x=1.01 * solution.x)


class DrawsGlobally(Plain):
    def result(self, x: Tensor, calls: int, problem: Problem) -> Solution:
        return super().result(x + 0 * torch.rand(1), calls, problem)


class NotFrozen(Solver):
    def __init__(self, steps: int = 4) -> None:
        self.steps = steps

    def solve(self, problem: Problem) -> Solution:
        return Plain(steps=self.steps).solve(problem)


@dataclass(frozen=True)
class Swallows(Plain):
    def __init__(self, **options: Any) -> None:
        pass


@dataclass(frozen=True)
class ForgetsAnOption(Plain):
    gain: float = field(default=1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", self.gain + 1)


WRONG = {
    "test_reaches_the_known_solution_in_both_directions": ForgetsDirection(steps=8),
    "test_error_falls_at_the_order_claimed": SecondOrderAtMost(steps=8),
    "test_field_is_never_called_outside_the_interval": LooksAhead(steps=8),
    "test_field_is_given_a_batch_of_times": OneTimeForAll(steps=8),
    "test_evaluations_are_counted_where_the_field_is_called": CountsSteps(steps=8),
    "test_budget_is_used_and_never_exceeded": OverspendsItsBudget(nfe=8),
    "test_budget_below_one_step_is_an_error": TakesOneStepAnyway(nfe=8),
    "test_state_and_time_are_at_least_float32": KeepsHalfPrecision(steps=8),
    "test_float64_stays_float64": AlwaysSingle(steps=8),
    "test_host_rarely_waits_for_the_device": LooksAtEveryStep(steps=8),
    "test_failing_sample_is_isolated": SpreadsFailure(steps=8),
    "test_failures_raise_only_with_throw": NeverThrows(steps=8),
    "test_sample_does_not_depend_on_its_batch": MixesRows(steps=8),
    "test_noise_depends_on_seed_and_sample_alone": DrawsTheSameForAll(steps=8),
    "test_last_step_adds_no_noise": KicksAtTheEnd(steps=8),
    "test_noise_keeps_the_marginals": ForgetsTheScore(steps=8),
    "test_conditions_stay_with_their_samples": ShufflesConditions(steps=8),
    "test_running_out_returns_the_last_state": RaisesWhenOut(),
    "test_states_at_requested_times": ForgetsTimes(steps=8),
    "test_callback_is_called_and_changes_nothing": ForgetsTheCallback(steps=8),
    "test_x0_is_not_modified": WritesIntoStart(steps=8),
    "test_field_may_return_its_own_argument": OverwritesArgument(steps=8),
    "test_wrong_velocities_are_refused": Broadcasts(steps=8),
    "test_empty_interval_is_the_identity": AlwaysCalls(steps=8),
    "test_path_is_required_where_needed": NeedsAPathSilently(steps=8),
    "test_integrates_the_divergence": ForgetsDivergence(steps=8),
    "test_gradients_agree": KeepsTheGraph(steps=8),
    "test_memory_does_not_grow_with_steps": RemembersEverything(steps=8),
    "test_backends_give_the_eager_answer": MovesAfterwards(steps=8),
    "test_new_grid_makes_no_new_kind_of_step": RemembersEverything(steps=8),
    "test_draws_from_no_global_generator": DrawsGlobally(steps=8),
    "test_is_a_frozen_dataclass_of_its_interface": NotFrozen(),
    "test_options_are_closed_and_typed": Swallows(),
    "test_round_trip_through_a_recipe": ForgetsAnOption(steps=8),
}


def results_of(solver: Any) -> dict[str, CheckResult]:
    class Suite(SolverSuite):
        def component(self) -> Any:
            return solver

    return {result.name: result for result in run_suite(Suite)}


@pytest.mark.parametrize("law", WRONG)
def test_a_solver_that_breaks_the_law_fails_its_check(law: str) -> None:
    class Suite(SolverSuite):
        def component(self) -> Any:
            return WRONG[law]

    with pytest.raises(AssertionError):
        getattr(Suite(), law)()


def test_every_check_is_tested_with_a_wrong_solver() -> None:
    assert set(WRONG) == set(results_of(Heun2(steps=8)))


def test_a_correct_solver_passes_without_pytest() -> None:
    results = results_of(Heun2(steps=8))
    assert [name for name, result in results.items() if not result.passed] == []
    assert {name for name, result in results.items() if result.skipped} == {
        "test_last_step_adds_no_noise",
        "test_noise_depends_on_seed_and_sample_alone",
        "test_noise_keeps_the_marginals",
        "test_running_out_returns_the_last_state",
    }


def test_a_correct_stochastic_solver_passes() -> None:
    results = results_of(Noisy(steps=8))
    assert [r.message for r in results.values() if not r.passed and not r.skipped] == []


def test_noise_that_depends_on_the_position_in_the_batch_is_detected() -> None:
    assert not results_of(DrawsByPosition(steps=8))[
        "test_sample_does_not_depend_on_its_batch"
    ].passed
