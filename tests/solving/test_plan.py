"""Plans: what a solver computes, written down before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch

from fmcore import ComponentError, Problem
from fmcore.solving import Call, FixedSolver, LinearExpr, Plan, PlanBuilder, canonical, execute
from fmcore.solving.backends.registers import allocate
from fmcore_solvers.heun import Heun2
from fmcore_solvers.midpoint import Midpoint
from fmcore_solvers.rk4 import RK4


def test_a_plan_reads_as_the_method() -> None:
    assert str(Midpoint(steps=1).plan()).splitlines() == [
        "1 steps, 2 evaluations of the field; r0 = x0",
        "r1 = field(r0, t=0)",
        "r2 = 1 r0 + 0.5 r1",
        "r3 = field(r2, t=0.5)",
        "r4 = 1 r0 + 1 r3",
        "x = r4",
    ]


def test_canonical_form_of_one_heun_step_is_its_tableau() -> None:
    form = canonical(Heun2(steps=1).plan())
    np.testing.assert_array_equal(form.t, [0, 1])
    np.testing.assert_array_equal(form.a, [1, 1, 1])
    np.testing.assert_array_equal(form.b, [[0, 0], [1, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(form.weights, [0.5, 0.5])


@dataclass(frozen=True)
class Spelled(FixedSolver):
    """Heun's method with its sums written another way, and a call that nothing needs."""

    order = 2
    nfe_per_step = 2

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            h = t - s
            k1 = plan.velocity(x, s)
            plan.velocity(x - h * k1, s)
            ahead = x + h * k1
            x = 0.5 * (x + ahead) + h / 2 * plan.velocity(ahead, t)
            yield x


def test_solvers_are_equal_where_their_canonical_forms_are() -> None:
    assert canonical(Spelled(steps=3).plan()).close_to(canonical(Heun2(steps=3).plan()))
    assert not canonical(Spelled(steps=3).plan()).close_to(canonical(Midpoint(steps=3).plan()))


def test_calls_that_reach_no_output_are_dropped() -> None:
    assert Spelled(steps=3).plan().nfe == 6


@dataclass(frozen=True)
class AsksTwice(FixedSolver):
    order = 1

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            x = x + (t - s) / 2 * (plan.velocity(x, s) + plan.velocity(x, s))
            yield x


def test_the_same_state_and_time_is_evaluated_once() -> None:
    assert AsksTwice(steps=4).plan().nfe == 4


@dataclass(frozen=True)
class StopsShort(FixedSolver):
    order = 1

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        yield plan.start + (grid[1] - grid[0]) * plan.velocity(plan.start, grid[0])


def test_step_code_must_yield_every_grid_point() -> None:
    with pytest.raises(ComponentError, match="3 grid points after the first; it yielded 1"):
        StopsShort(steps=3).plan()


@dataclass(frozen=True)
class DividesByZero(FixedSolver):
    order = 1

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        yield plan.start + float("inf") * plan.velocity(plan.start, grid[0])


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ComponentError, match="weights must be finite"):
        DividesByZero(steps=1).plan()


def test_memory_does_not_grow_with_the_number_of_steps() -> None:
    few, many = (allocate(RK4(steps=n).plan()) for n in (2, 200))
    assert (few.buffers, few.slots) == (many.buffers, many.slots)
    assert few.buffers <= 3


@pytest.mark.parametrize("seed", range(20))
def test_buffers_are_never_overwritten_while_needed(seed: int) -> None:
    """A random plan, run by the executor and in plain arithmetic."""
    rng = np.random.default_rng(seed)
    plan = Plan.of(RandomSteps(seed), np.linspace(0, 1, 9), times=(0.25, 0.5))
    x0 = torch.from_numpy(rng.normal(size=(5, 3)))

    def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(x) * (1 + t[:, None])

    registers = {0: x0}
    for row in plan.rows:
        if isinstance(row, Call):
            registers[row.out] = field(registers[row.state], x0.new_full((5,), row.t))
        else:
            registers[row.out] = sum(w * registers[r] for r, w in row.weights.items())
    solution = execute(plan, Problem(field, x0))
    expected = [registers[r] for r in plan.outputs]
    torch.testing.assert_close(solution.x, expected[-1], rtol=1e-12, atol=1e-12)
    assert solution.trajectory is not None
    torch.testing.assert_close(
        solution.trajectory, torch.stack(expected[:-1]), rtol=1e-12, atol=1e-12
    )


@dataclass(frozen=True)
class RandomSteps:
    """Each state is a random combination of a few earlier states and velocities."""

    seed: int

    def trace(self, plan: PlanBuilder, grid: np.ndarray) -> Iterator[LinearExpr]:
        rng = np.random.default_rng(self.seed)
        seen = [plan.start]
        for s in grid[:-1]:
            seen.append(plan.velocity(seen[rng.integers(len(seen))], s))
            chosen = rng.choice(len(seen), size=min(len(seen), 3), replace=False)
            weights = rng.choice([1.0, -0.5, 0.3], size=3)
            x = sum((w * seen[i] for w, i in zip(weights, chosen, strict=False)), LinearExpr({}))
            seen.append(x)
            yield x
