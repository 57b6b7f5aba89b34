"""Callbacks: what they are told, and what they cost."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Problem, create
from fmcore.solving import CompiledSteps, SolverProgress
from fmcore.testing.flows import Waits

X0 = torch.linspace(0.5, 2.0, 12, dtype=torch.float64).view(6, 2)
SOLVERS = [
    ("midpoint", {"nfe": 12}),
    ("ab2", {"nfe": 12}),
    ("dopri5", {}),
    ("dopri5", {"sync_every": 3}),
    ("dopri5", {"max_active": 2}),
    ("dopri5", {"step_control": "batch_rms"}),
    ("dopri5", {"step_control": "batch_max", "sync_every": 2}),
]


def decay(x: Tensor, t: Tensor) -> Tensor:
    return -x * x


def counted(name: str, options: dict[str, object], problem: Problem) -> tuple[int, int]:
    solver = create("solver", name, **options)
    solver.solve(problem)  # plans and constants are made once
    with Waits() as waits:
        solver.solve(problem)
    return waits.waits, waits.operations


@pytest.mark.parametrize(("name", "options"), SOLVERS)
def test_looking_on_without_reading_the_states_waits_no_more(name, options):
    alone = counted(name, options, Problem(decay, X0))
    seen: list[float] = []
    watched = counted(
        name, options, Problem(decay, X0, callback=lambda moment: seen.append(moment.progress))
    )
    assert len(seen) > 2
    assert watched[0] == alone[0]
    if name != "dopri5" or ("step_control" in options and "sync_every" not in options):
        assert watched[1] == alone[1]  # nor is anything computed


def test_states_of_a_fixed_solve_are_those_of_its_trajectory():
    states: list[Tensor] = []
    solver = create("solver", "midpoint", steps=4, grid="uniform")
    times = (0.25, 0.5, 0.75, 1.0)
    solution = solver.solve(
        Problem(decay, X0, times=times, callback=lambda moment: states.append(moment.x))
    )
    assert solution.trajectory is not None
    torch.testing.assert_close(torch.stack(states), solution.trajectory, rtol=0, atol=0)


def test_states_of_samples_that_wait_travel_and_have_arrived_stand_in_the_problems_order():
    exact = X0 / (1 + X0)
    kinds: set[str] = set()

    def look(moment: SolverProgress) -> None:
        for now, start, end in zip(moment.x, X0, exact, strict=True):
            assert ((end - 1e-4 <= now) & (now <= start)).all()
            waits, arrived = torch.equal(now, start), bool((now - end).abs().max() < 1e-4)
            kinds.add("waits" if waits else "arrived" if arrived else "travels")

    create("solver", "dopri5", max_active=2).solve(Problem(decay, X0, callback=look))
    assert kinds == {"waits", "travels", "arrived"}


@pytest.mark.parametrize("grad", ["direct", "checkpoint"])
def test_gradients_flow_beside_a_callback(grad):
    states: list[Tensor] = []
    x0 = X0.clone().requires_grad_()
    problem = Problem(decay, x0, grad=grad, callback=lambda moment: states.append(moment.x))
    x = create("solver", "midpoint", nfe=40).solve(problem).x
    (slope,) = torch.autograd.grad(x.sum(), x0)
    torch.testing.assert_close(slope, 1 / (1 + X0) ** 2, rtol=2e-2, atol=0)
    assert len(states) == 20
    assert not states[-1].requires_grad
    torch.testing.assert_close(states[-1], x.detach(), rtol=0, atol=0)


def test_compiled_steps_tell_too():
    seen: list[tuple[int, Tensor]] = []
    solver = create("solver", "heun2", nfe=6)
    problem = Problem(decay, X0, callback=lambda moment: seen.append((moment.step, moment.x)))
    solution = CompiledSteps(decay, backend="eager").execute(solver.plan(), problem)
    assert [step for step, _ in seen] == [1, 2, 3]
    torch.testing.assert_close(seen[-1][1], solution.x, rtol=0, atol=0)


def test_an_exception_of_the_callback_ends_the_solve():
    def stop(moment: SolverProgress) -> None:
        if moment.progress >= 0.5:
            raise KeyboardInterrupt

    for name in ("euler", "dopri5"):
        with pytest.raises(KeyboardInterrupt):
            create("solver", name).solve(Problem(decay, X0, callback=stop))


def test_the_baseline_takes_no_callback_and_says_so():
    with pytest.raises(ComponentError, match=r"'torchdiffeq:euler'.* and callbacks: use"):
        create("solver", "torchdiffeq:euler", steps=2).solve(
            Problem(decay, X0, callback=lambda moment: None)
        )
