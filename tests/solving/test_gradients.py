"""Gradients of everything a solve returns, against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Problem, Status, create
from fmcore.registry import registry
from fmcore.solving import AdaptiveSolver, Augmentation, FixedSolver, StochasticSolver

OURS = [
    entry.name
    for entry in registry().entries("solver")
    if issubclass(entry.load(), AdaptiveSolver | FixedSolver)
    and not getattr(entry.load(), "history", 0)
]
ADAPTIVE = [
    name for name in OURS if issubclass(registry().entry("solver", name).load(), AdaptiveSolver)
]
FIXED = [name for name in OURS if name not in ADAPTIVE]
TOLERANCES = {"heun2_adaptive": (1e-4, 5e-3), "bosh3": (1e-6, 1e-4)}
"""Tolerance and error of the gradient, for methods of low order."""

MODES = pytest.mark.parametrize("grad", ["direct", "checkpoint"])


def decay(x: Tensor, t: Tensor) -> Tensor:
    return -x


def square(x: Tensor, t: Tensor) -> Tensor:
    """x(t) = x0 / (1 - x0 t), and the integral of the divergence 2x is -2 log(1 - x0 t)."""
    return x * x


def leaf(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)[:, None].requires_grad_()


def fixed(name: str, steps: int = 12) -> Any:
    ode = (
        {"noise": 0.0}
        if issubclass(registry().entry("solver", name).load(), StochasticSolver)
        else {}
    )
    return create("solver", name, steps=steps, **ode)


@MODES
@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("step_control", ["per_sample", "batch_max", "batch_rms"])
def test_the_trajectory_of_an_adaptive_solve_has_a_gradient(name, step_control, grad):
    """L = sum of x(t) over times, also at both ends; dL/dx0 = sum of e^-t."""
    x0, times = leaf(1.0, -3.0, 0.2), (0.5, 0.0, 0.9, 1.0, 0.5)
    tolerance, error = TOLERANCES.get(name, (1e-8, 3e-6))
    solver = create("solver", name, rtol=tolerance, atol=tolerance, step_control=step_control)
    solution = solver.solve(Problem(decay, x0, times=times, grad=grad))
    plain = solver.solve(Problem(decay, x0.detach(), times=times))
    torch.testing.assert_close(solution.trajectory, plain.trajectory, rtol=1e-12, atol=1e-12)
    (solution.trajectory.sum() + 2 * solution.x.sum()).backward()
    expected = sum(math.exp(-t) for t in times) + 2 * math.exp(-1)
    torch.testing.assert_close(x0.grad, torch.full_like(x0, expected), rtol=0, atol=error)


@MODES
@pytest.mark.parametrize("name", FIXED)
def test_the_trajectory_of_a_fixed_solve_has_a_gradient(name, grad):
    """A plan of a linear field is linear: the state from x0 = 1 is the derivative by x0."""
    path, x0, times = create("path", "vp"), leaf(1.0, -3.0), (0.3, 0.75)
    problem = Problem(decay, x0, t0=0.1, t1=0.9, path=path, times=times, grad=grad)
    solution = fixed(name).solve(problem)
    (solution.trajectory.sum() + 2 * solution.x.sum()).backward()
    unit = fixed(name).solve(
        replace(problem, x0=torch.ones(1, 1, dtype=torch.float64), grad="none")
    )
    expected = float(unit.trajectory.sum() + 2 * unit.x.sum())
    torch.testing.assert_close(x0.grad, torch.full_like(x0, expected), rtol=1e-10, atol=1e-10)


@MODES
@pytest.mark.parametrize("name", ["dopri5", "rk4"])
def test_the_integral_of_the_divergence_has_a_gradient(name, grad):
    """d logdet / dx0 = 2t / (1 - x0 t), with every way to compute the divergence."""
    solver = create("solver", name, rtol=1e-9, atol=1e-9) if name == "dopri5" else fixed(name, 40)
    for augmentation in (Augmentation(), Augmentation("hutchinson", n_probes=2)):
        x0 = leaf(0.5, -1.0)
        solution = solver.solve(Problem(square, x0, augmentation=augmentation, grad=grad))
        torch.testing.assert_close(solution.logdet, -2 * (1 - x0[:, 0]).log(), rtol=1e-6, atol=1e-6)
        solution.logdet.sum().backward()
        expected = 2 / (1 - x0.detach())
        torch.testing.assert_close(x0.grad, expected, rtol=1e-5, atol=1e-5)


@MODES
@pytest.mark.parametrize("name", OURS)
def test_a_solve_of_no_length_is_the_identity_with_its_gradient(name, grad):
    path, x0 = create("path", "vp"), leaf(1.0, -3.0)
    problem = Problem(decay, x0, t0=0.5, t1=0.5, path=path, times=(0.5,), grad=grad)
    solution = (create("solver", name) if name in ADAPTIVE else fixed(name)).solve(problem)
    (solution.x.sum() + 2 * solution.trajectory.sum()).backward()
    torch.testing.assert_close(x0.grad, torch.full_like(x0, 3.0))


@MODES
@pytest.mark.parametrize("name", OURS)
def test_the_gradient_reaches_a_start_in_half_precision(name, grad):
    path, x0 = create("path", "vp"), leaf(1.0, dtype=torch.float16)
    problem = Problem(decay, x0, t0=0.2, t1=0.9, path=path, grad=grad)
    (create("solver", name) if name in ADAPTIVE else fixed(name, 60)).solve(
        problem
    ).x.sum().backward()
    assert float(x0.grad) == pytest.approx(math.exp(-0.7), rel=5e-2)


def test_times_that_a_sample_does_not_reach_have_no_gradient():
    wall = torch.tensor([2.0, 0.5], dtype=torch.float64)

    def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        return torch.where((t > condition["wall"])[:, None], math.nan, -x)

    x0 = leaf(1.0, 1.0)
    problem = Problem(field, x0, condition={"wall": wall}, times=(0.25, 0.75), grad="direct")
    solution = create("solver", "dopri5", rtol=1e-8, atol=1e-8).solve(problem)
    assert solution.status.tolist() == [Status.SUCCESS, Status.NONFINITE]
    assert solution.trajectory.isnan().flatten(1).tolist() == [[False, False], [False, True]]
    (solution.trajectory[0].sum() + solution.trajectory[1, 0].sum()).backward()
    expected = torch.tensor([[math.exp(-0.25) + math.exp(-0.75)], [math.exp(-0.25)]])
    torch.testing.assert_close(x0.grad, expected.double(), rtol=0, atol=1e-6)


@MODES
@pytest.mark.parametrize("step_control", ["per_sample", "batch_max"])
def test_a_failed_sample_leaves_the_gradients_of_the_others_alone(grad, step_control):
    """u = -rate x / scale is not finite where scale is 0; elsewhere x(1) = e^-rate."""
    rate = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        return -rate * x / condition["scale"][:, None]

    x0, scale = leaf(1.0, 2.0, 1.0), torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    solver = create("solver", "dopri5", rtol=1e-9, atol=1e-9, step_control=step_control)
    augmentation = Augmentation("hutchinson", n_probes=2)
    problem = Problem(
        field, x0, condition={"scale": scale}, augmentation=augmentation, times=(0.5,), grad=grad
    )
    solution = solver.solve(problem)
    assert solution.status.tolist() == [Status.SUCCESS, Status.NONFINITE, Status.SUCCESS]
    assert solution.x[1].tolist() == [2.0]
    (solution.x[[0, 2]].sum() + solution.trajectory[0, [0, 2]].sum()).backward()
    assert float(rate.grad) == pytest.approx(-2 * math.exp(-0.5) - math.exp(-0.25), abs=1e-7)
    expected = math.exp(-0.5) + math.exp(-0.25)
    assert x0.grad[[0, 2]].flatten().tolist() == pytest.approx([expected, expected], abs=1e-7)
    torch.testing.assert_close(solution.logdet[[0, 2]], torch.full((2,), -0.5).double())


@pytest.mark.parametrize("step_control", ["per_sample", "batch_max"])
@pytest.mark.parametrize("field", [lambda x, t: x / 0, lambda x, t: torch.where(t > 0, x / 0, x)])
def test_a_solve_without_an_accepted_step_returns_its_start(field, step_control):
    x0 = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    solver = create("solver", "dopri5", step_control=step_control, first_step=0.5)
    solution = solver.solve(Problem(field, x0, times=(0.0, 0.5), grad="direct"))
    assert Status.SUCCESS not in solution.status.tolist()
    assert solution.x.tolist() == solution.trajectory[0].tolist() == [1.0, 2.0]
    assert solution.trajectory[1].isnan().all()
    (solution.x.sum() + solution.trajectory[0].sum()).backward()
    assert x0.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("name", ["t0", "t1", "times"])
def test_a_time_with_a_graph_is_refused(name):
    """Its gradient would be lost silently."""
    time = torch.tensor(0.5, requires_grad=True)
    with pytest.raises(ComponentError, match=rf"Problem: no gradient reaches {name}"):
        Problem(decay, torch.ones(1, 1), **{name: (time,) if name == "times" else time})
