"""The suite of flow-map solvers accepts `flow_map` and refutes solvers that break one law each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch

from fmcore import ComponentError, Problem, Solution, Solver, Stats, create
from fmcore.testing import FlowMapSolverSuite, run_suite
from fmcore_solvers.flow_map import FlowMap


class TestFlowMap(FlowMapSolverSuite):
    def component(self):
        return create("solver", "flow_map", steps=3)


@dataclass(frozen=True)
class Right(Solver):
    """Even jumps, written out."""

    jumps = True
    steps: int | None = field(default=None, kw_only=True)

    def solve(self, problem):
        if not hasattr(problem.field, "jump"):
            raise ComponentError("needs a flow map")
        n, x, states = self.steps or 1, problem.x0, []
        grid = sorted({*torch.linspace(0, 0.9, n + 1).double().tolist(), *(problem.times or ())})
        grid[-1] = 0.9
        for begin, end in pairwise(grid):
            t, until = self.pair(x, begin, end)
            x = problem.field.jump(x, t, until, self.condition(problem))
            states += [x] if end in (problem.times or ()) else []
        count = torch.full((len(x),), self.counted(len(grid) - 1))
        return Solution(
            x=x,
            status=torch.where(x.flatten(1).isfinite().all(1), 0, 3),
            t_reached=torch.full_like(count, 0.9, dtype=x.dtype),
            stats=Stats(nfe=count, calls=len(grid) - 1, steps=len(grid) - 1),
            trajectory=torch.stack(states) if states else None,
        )

    def pair(self, x, begin, end):
        return x.new_full((len(x),), begin), x.new_full((len(x),), end)

    def counted(self, jumps):
        return jumps

    def condition(self, problem):
        return problem.condition


@dataclass(frozen=True)
class CountsDouble(Right):
    def counted(self, jumps):
        return 2 * jumps


@dataclass(frozen=True)
class RollsConditions(Right):
    def condition(self, problem):
        if problem.condition is None:
            return None
        return {k: v.roll(1) for k, v in problem.condition.items()}


@dataclass(frozen=True)
class TakesVelocities(Right):
    def solve(self, problem):
        if hasattr(problem.field, "jump"):
            return super().solve(problem)
        return Solution(problem.x0, torch.zeros(5), torch.zeros(5), Stats(torch.ones(5)))


@dataclass(frozen=True)
class StartsLate(Right):
    """Leaves a gap between one jump and the next."""

    def pair(self, x, begin, end):
        t, until = super().pair(x, begin, end)
        return t + 1e-13, until


@dataclass(frozen=True)
class ForgetsTheTrajectory(Right):
    def solve(self, problem):
        solution = super().solve(problem)
        return replace(solution, trajectory=None)


@dataclass(frozen=True)
class WritesIntoTheStart(Right):
    def solve(self, problem):
        solution = super().solve(problem)
        problem.x0.mul_(1.5)
        return solution


@dataclass(frozen=True)
class MissesTheMap(Right):
    """Is off by a thousandth after seven jumps."""

    def solve(self, problem):
        solution = super().solve(problem)
        return replace(solution, x=1.001 * solution.x) if self.steps == 7 else solution


@dataclass(frozen=True)
class SpreadsFailure(Right):
    def solve(self, problem):
        solution = super().solve(problem)
        return replace(solution, x=solution.x + 0 * solution.x.sum())


@dataclass(frozen=True)
class DrawsGlobally(Right):
    def solve(self, problem):
        torch.rand(1)
        return super().solve(problem)


@dataclass
class Unfrozen(Solver):
    jumps = True
    steps: int | None = None

    def solve(self, problem):
        return Right(steps=self.steps).solve(problem)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, *, steps: int | None = None, **options: object):
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True)
class KeepsAnother(Right):
    gain: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "gain", self.gain + 1)


WRONG = {
    MissesTheMap: {"jumps_follow_the_map"},
    SpreadsFailure: {"failing_sample_is_isolated"},
    DrawsGlobally: {"start_is_left_alone"},
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    CountsDouble: {"budget_counts_jumps"},
    RollsConditions: {"conditions_stay_with_their_samples"},
    TakesVelocities: {"velocities_are_refused"},
    StartsLate: {"jumps_are_consecutive_and_inside"},
    ForgetsTheTrajectory: {"asked_times_are_in_the_trajectory"},
    WritesIntoTheStart: {
        "start_is_left_alone",
        "jumps_follow_the_map",
        "conditions_stay_with_their_samples",
        "failing_sample_is_isolated",
        "asked_times_are_in_the_trajectory",
    },
}


def results(cls):
    class Checked(FlowMapSolverSuite):
        def component(self):
            return cls(steps=2)

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


def test_a_right_solver_passes():
    assert failures(Right) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_solver_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_solver_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}


def test_flow_map_takes_one_budget():
    with pytest.raises(ComponentError, match="takes one of nfe=, steps= or an explicit grid="):
        FlowMap(nfe=2, steps=2)
    with pytest.raises(ComponentError, match="make their ends agree"):
        FlowMap(grid=[0.0, 0.5]).solve(Problem(Leaps(), torch.zeros(2, 1)))


class Leaps:
    def __call__(self, x, t, condition=None):
        raise AssertionError("only jumps are asked for")

    def jump(self, x, t, until, condition=None):
        return x
