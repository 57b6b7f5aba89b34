"""Every law of the solver suite is broken by a solver that fails its check and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fmcore import Problem, Solution, Solver
from fmcore.solving import FixedSolver, LinearExpr, PlanBuilder, StochasticSolver
from fmcore.solving.backends.eager import execute
from fmcore.solving.interval import asked_times, interval
from fmcore.testing import CheckResult, SolverSuite, run_suite
from fmcore_solvers.embedded import Dopri5
from fmcore_solvers.heun import Heun2

Field = Callable[..., Tensor]


@dataclass(frozen=True)
class Right(FixedSolver):
    """The midpoint rule: the wrong solvers derive from it, and change the problem or the result."""

    order = 2
    nfe_per_step = 2

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            k = plan.velocity(x, s)
            x = x + (t - s) * plan.velocity(x + (t - s) / 2 * k, (s + t) / 2)
            yield x


@dataclass(frozen=True)
class Wraps(Right):
    """Solves a problem with another field around the given one, and is right if `called` is."""

    def solve(self, problem: Problem) -> Solution:
        def wrapped(x: Tensor, t: Tensor, *condition: Any) -> Tensor:
            return self.called(problem.field, x, t, *condition)

        return super().solve(replace(problem, field=wrapped))

    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        return field(x, t, *condition)


@dataclass(frozen=True)
class DoublesTheState(Wraps):
    """Right: solves dy/dt = 2 u(y / 2, t) for y = 2 x, so that its plan runs on another field."""

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(
            replace(problem, x0=2 * problem.x0, callback=problem.callback and self.halved(problem))
        )
        trajectory = solution.trajectory
        return replace(
            solution, x=solution.x / 2, trajectory=None if trajectory is None else trajectory / 2
        )

    def halved(self, problem: Problem) -> Callable[..., None]:
        def callback(progress: Any) -> None:
            problem.callback(replace(progress, _states=lambda: progress.x / 2))

        return callback

    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        return 2 * field(x / 2, t, *condition)


@dataclass(frozen=True)
class StopsShortBackwards(Right):
    """Misses t1 by a fifth of the interval from data to noise, on a grid of its own."""

    def solve(self, problem: Problem) -> Solution:
        if problem.t1 < problem.t0 and isinstance(self.grid, str):
            problem = replace(problem, t1=problem.t1 + (problem.t0 - problem.t1) / 5)
        return super().solve(problem)


@dataclass(frozen=True)
class SecondOrderAtMost(Right):
    order = 3

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        # of third order on grids of alternating steps alone
        steps = np.abs(np.diff(grid))
        third = len(steps) > 1 and steps[1] > 4 * steps[0]
        for x, y in zip(_kutta(plan, grid), super().trace(plan, grid), strict=True):
            yield x if third else y


def _kutta(plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
    x = plan.start
    for s, t in pairwise(grid):
        h = t - s
        a = plan.velocity(x, s)
        b = plan.velocity(x + h / 2 * a, (s + t) / 2)
        c = plan.velocity(x - h * a + 2 * h * b, t)
        x = x + h * (a / 6 + 2 / 3 * b + c / 6)
        yield x


@dataclass(frozen=True)
class WeightsOfEqualSteps(FixedSolver):
    """Adams-Bashforth 2 with the weights 3/2 and -1/2 on any grid."""

    order = 2

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x, before = plan.start, None
        for s, t in pairwise(grid):
            u = plan.velocity(x, s)
            x = x + (t - s) * (u if before is None else 1.5 * u - 0.5 * before)
            before = u
            yield x


@dataclass(frozen=True)
class LooksAhead(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        return super().called(field, x, t + 1e-7, *condition)


@dataclass(frozen=True)
class NodeBeyondTheEnd(Right):
    """Evaluates the field a step past the end as well, which the framework moves to the end."""

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        for (s, t), x in zip(pairwise(grid), super().trace(plan, grid), strict=True):
            yield x + 1e-12 * plan.velocity(x, 2 * t - s)


@dataclass(frozen=True)
class OneTimeForMatrices(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        return field(x, t[:1] if x.ndim == 3 else t, *condition)


@dataclass(frozen=True)
class CountsSteps(Right):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        return replace(solution, stats=replace(solution.stats, nfe=solution.stats.nfe // 2))


@dataclass(frozen=True)
class ClaimsAnotherCost(Right):
    nfe_per_step = 3


@dataclass(frozen=True)
class OverspendsItsBudget(Right):
    def solve(self, problem: Problem) -> Solution:
        if self.nfe is not None and self.nfe > 2:
            return replace(self, nfe=None, steps=self.nfe // 2 + 1).solve(problem)
        return super().solve(problem)


@dataclass(frozen=True)
class TakesOneStepAnyway(Right):
    def solve(self, problem: Problem) -> Solution:
        if self.nfe == 1:
            return replace(self, nfe=2).solve(problem)
        return super().solve(problem)


@dataclass(frozen=True)
class KeepsHalfPrecision(Wraps):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        half = problem.x0.dtype == torch.bfloat16
        return replace(solution, x=solution.x.bfloat16()) if half else solution


@dataclass(frozen=True)
class TimesInSingle(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        return field(x, t.float(), *condition)


@dataclass(frozen=True)
class LooksAtEveryStep(Right):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        float(solution.x.detach().sum())
        return solution


@dataclass(frozen=True)
class SpreadsFailure(Right):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        return replace(solution, x=solution.x + 0 * solution.x.sum())


@dataclass(frozen=True)
class NeverThrows(Right):
    def solve(self, problem: Problem) -> Solution:
        return replace(self, throw=False).solve(problem) if self.throw else super().solve(problem)


@dataclass(frozen=True)
class MixesRows(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        u = field(x, t, *condition)
        return u + 1e-6 * u.nanmean(0)


@dataclass(frozen=True)
class RightWithNoise(StochasticSolver):
    """Euler-Maruyama, right unless a subclass changes it."""

    order = 1

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            u, sigma = plan.velocity(x, s), plan.at(s).sigma
            if self.noise > 0 and self.adds_noise(t, grid):
                z = self.noise * sigma * (t - s) ** 0.5 * plan.fresh()
                x = x + (t - s) * (u - self.pull(sigma) * plan.noise(x, s)) + z
            else:
                x = x + (t - s) * u
            yield x

    def adds_noise(self, t: float, grid: np.ndarray) -> bool:
        return bool(t != grid[-1])

    def pull(self, sigma: float) -> float:
        return self.noise**2 / 2 * sigma


@dataclass(frozen=True)
class KicksAtTheEnd(RightWithNoise):
    def adds_noise(self, t: float, grid: np.ndarray) -> bool:
        return True


@dataclass(frozen=True)
class ForgetsTheScore(RightWithNoise):
    def pull(self, sigma: float) -> float:
        return 0.0


@dataclass(frozen=True)
class IgnoresTheSeed(RightWithNoise):
    def solve(self, problem: Problem) -> Solution:
        return super().solve(replace(problem, seed=0))


@dataclass(frozen=True)
class DrawsByPosition(RightWithNoise):
    def solve(self, problem: Problem) -> Solution:
        return super().solve(replace(problem, sample_ids=None))


@dataclass(frozen=True)
class ShufflesConditions(Right):
    """Keeps the order of the conditions only where samples have ids."""

    def solve(self, problem: Problem) -> Solution:
        if problem.condition is not None and problem.sample_ids is None:
            turned = {name: value.flip(0) for name, value in problem.condition.items()}
            problem = replace(problem, condition=turned)
        return super().solve(problem)


@dataclass(frozen=True)
class ReachesTheEndWhenOut(Dopri5.__base__):  # type: ignore[misc, valid-type]
    tableau = Dopri5.tableau

    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        return replace(solution, t_reached=torch.ones_like(solution.t_reached))


@dataclass(frozen=True)
class TimesInReverse(Right):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        trajectory = solution.trajectory
        return replace(solution, trajectory=None if trajectory is None else trajectory.flip(0))


@dataclass(frozen=True)
class ForgetsTheCallback(Right):
    def solve(self, problem: Problem) -> Solution:
        return super().solve(replace(problem, callback=None))


@dataclass(frozen=True)
class WritesIntoVelocities(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        u = field(x, t, *condition)
        copy = u.clone()
        if u.data_ptr() != x.data_ptr() and not torch.is_grad_enabled():
            u.zero_()
        return copy


@dataclass(frozen=True)
class ConfusesArgumentAndResult(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        u = field(x, t, *condition)
        return 1.001 * u if u.data_ptr() == x.data_ptr() else u


@dataclass(frozen=True)
class Broadcasts(Wraps):
    def called(self, field: Field, x: Tensor, t: Tensor, *condition: Any) -> Tensor:
        return field(x, t, *condition).expand_as(x).to(x.dtype)


@dataclass(frozen=True)
class AlwaysCalls(Right):
    def solve(self, problem: Problem) -> Solution:
        if problem.t0 == problem.t1:
            problem.field(problem.x0, problem.x0.new_full((len(problem.x0),), problem.t0))
        return super().solve(problem)


@dataclass(frozen=True)
class NeedsAPathSilently(Right):
    needs_path = True

    def _check_kind(self, path: object) -> None:
        pass


@dataclass(frozen=True)
class HalvesTheDivergence(Right):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        logdet = solution.logdet
        return replace(solution, logdet=None if logdet is None else logdet / 2)


@dataclass(frozen=True)
class TurnsGradientsRound(Right):
    def solve(self, problem: Problem) -> Solution:
        solution = super().solve(problem)
        x = solution.x
        return replace(solution, x=2 * x.detach() - x) if problem.grad != "none" else solution


@dataclass(frozen=True)
class RemembersSomeSteps(Right):
    """Keeps the velocity of every sixteenth step up to the last."""

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        kept: list[LinearExpr] = []
        for step, x in enumerate(super().trace(plan, grid), 1):
            if step % 16 == 0:
                kept.append(x)
            last = step == len(grid) - 1
            yield x + 1e-14 * sum(kept, LinearExpr({})) if last else x


@dataclass(frozen=True)
class StepsByNumber(Right):
    """From the tenth step on, a step is another sum."""

    nfe_per_step = 2

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for step, (s, t) in enumerate(pairwise(grid), 1):
            k = plan.velocity(x, s)
            u = plan.velocity(x + (t - s) / 2 * k, (s + t) / 2)
            x = x + (t - s) * u + (1e-14 * k if step >= 10 else 0)
            yield x


@dataclass(frozen=True)
class AsksNoBackend(Right):
    def solve(self, problem: Problem) -> Solution:
        t0, t1 = interval(problem)
        plan = self.plan(t0, t1, problem.path, asked_times(problem))
        if self.throw:
            return super().solve(problem)
        return execute(plan, problem, self.nfe)


@dataclass(frozen=True)
class DrawsGlobally(Right):
    def solve(self, problem: Problem) -> Solution:
        torch.rand(1)
        return super().solve(problem)


@dataclass
class NotFrozen(Solver):
    steps: int | None = None
    nfe: int | None = None
    grid: str | list[float] = "auto"
    throw: bool = False

    def solve(self, problem: Problem) -> Solution:
        inner = Right(steps=self.steps, nfe=self.nfe, grid=self.grid, throw=self.throw)
        return inner.solve(problem)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(
        self,
        *,
        nfe: int | None = None,
        steps: int | None = None,
        grid: str | list[float] = "auto",
        throw: bool = False,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        super().__init__(nfe=nfe, steps=steps, grid=grid, throw=throw, backend=backend)


@dataclass(frozen=True)
class ForgetsAnOption(Right):
    gain: float = field(default=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "gain", self.gain + 1)


WRONG: dict[str, Any] = {
    "reaches_the_known_solution_in_both_directions": StopsShortBackwards(steps=8),
    "error_falls_at_the_order_claimed": SecondOrderAtMost(steps=8),
    "order_holds_on_uneven_grids": WeightsOfEqualSteps(steps=8),
    "field_is_never_called_outside_the_interval": LooksAhead(steps=8),
    "nodes_of_the_plan_are_inside_the_interval": NodeBeyondTheEnd(steps=8),
    "field_is_given_a_batch_of_times": OneTimeForMatrices(steps=8),
    "evaluations_are_counted_where_the_field_is_called": CountsSteps(steps=8),
    "steps_cost_the_evaluations_claimed": ClaimsAnotherCost(steps=8),
    "budget_is_used_and_never_exceeded": OverspendsItsBudget(nfe=8),
    "budget_below_one_step_is_an_error": TakesOneStepAnyway(nfe=8),
    "state_and_time_are_at_least_float32": KeepsHalfPrecision(steps=8),
    "float64_stays_float64": TimesInSingle(steps=8),
    "host_rarely_waits_for_the_device": LooksAtEveryStep(steps=8),
    "failing_sample_is_isolated": SpreadsFailure(steps=8),
    "failures_raise_only_with_throw": NeverThrows(steps=8),
    "sample_does_not_depend_on_its_batch": MixesRows(steps=8),
    "noise_depends_on_seed_and_sample_alone": IgnoresTheSeed(steps=8),
    "last_step_adds_no_noise": KicksAtTheEnd(steps=8),
    "noise_keeps_the_marginals": ForgetsTheScore(steps=8),
    "conditions_stay_with_their_samples": ShufflesConditions(steps=8),
    "running_out_returns_the_last_state": ReachesTheEndWhenOut(),
    "states_at_requested_times": TimesInReverse(steps=8),
    "callback_is_called_and_changes_nothing": ForgetsTheCallback(steps=8),
    "x0_is_not_modified": WritesIntoVelocities(steps=8),
    "field_may_return_its_own_argument": ConfusesArgumentAndResult(steps=8),
    "wrong_velocities_are_refused": Broadcasts(steps=8),
    "empty_interval_is_the_identity": AlwaysCalls(steps=8),
    "path_is_required_where_needed": NeedsAPathSilently(steps=8),
    "integrates_the_divergence": HalvesTheDivergence(steps=8),
    "gradients_agree": TurnsGradientsRound(steps=8),
    "memory_does_not_grow_with_steps": RemembersSomeSteps(steps=8),
    "backends_give_the_eager_answer": AsksNoBackend(steps=8),
    "new_grid_makes_no_new_kind_of_step": StepsByNumber(steps=8),
    "draws_from_no_global_generator": DrawsGlobally(steps=8),
    "is_a_frozen_dataclass_of_its_interface": NotFrozen(steps=8),
    "options_are_closed_and_typed": Swallows(steps=8),
    "round_trip_through_a_recipe": ForgetsAnOption(steps=8),
}

FOLLOWS = {"options_are_closed_and_typed": {"round_trip_through_a_recipe"}}
"""Checks that fail with the one meant: no recipe stores options that are not declared."""


def results_of(solver: Any) -> dict[str, CheckResult]:
    class Suite(SolverSuite):
        def component(self) -> Any:
            return solver

    return {result.name.removeprefix("test_"): result for result in run_suite(Suite)}


def failures(solver: Any) -> dict[str, str]:
    return {name: r.message for name, r in results_of(solver).items() if not r.passed}


@pytest.mark.parametrize("law", WRONG)
def test_a_solver_that_breaks_the_law_fails_its_check_and_no_other(law: str) -> None:
    found = failures(WRONG[law])
    assert set(found) == {law} | FOLLOWS.get(law, set()), found


def test_every_check_is_tested_with_a_wrong_solver() -> None:
    assert set(WRONG) == set(results_of(Heun2(steps=8)))


def test_a_correct_solver_passes_without_pytest() -> None:
    results = results_of(Heun2(steps=8))
    assert [name for name, result in results.items() if not result.passed] == []
    assert {name for name, result in results.items() if result.skipped} == {
        "last_step_adds_no_noise",
        "noise_depends_on_seed_and_sample_alone",
        "noise_keeps_the_marginals",
        "running_out_returns_the_last_state",
    }


@pytest.mark.parametrize("solver", [Right(steps=8), Wraps(steps=8), RightWithNoise(steps=8)])
def test_a_correct_solver_passes(solver: Any) -> None:
    assert failures(solver) == {}


def test_a_solver_that_changes_state_and_field_around_its_plan_passes() -> None:
    assert failures(DoublesTheState(steps=8)) == {}


def test_noise_that_depends_on_the_position_in_the_batch_is_detected() -> None:
    assert set(failures(DrawsByPosition(steps=8))) == {
        "failing_sample_is_isolated",
        "sample_does_not_depend_on_its_batch",
    }


def test_a_multistep_method_with_the_weights_of_its_grid_passes() -> None:
    from fmcore import create

    assert failures(create("solver", "ab2", steps=8)) == {}
