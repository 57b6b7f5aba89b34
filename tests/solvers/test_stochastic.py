"""Stochastic solvers: their discrete recursion, their marginals and their noise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fmcore import ComponentError, Gaussian, Problem, create
from fmcore.flow.compatibility import refusals
from fmcore.flow.gaussian_mixture import GaussianMixtureField, gaussian
from fmcore.flow.likelihood import log_prob
from fmcore.solving import Augmentation, canonical

ODE_OF = {
    "euler_maruyama": "euler",
    "sde_heun": "heun2",
    "ancestral": "ddim",
    "dpmpp_2m_sde": "dpmpp_2m",
    "edm_churn": "edm_heun",
}


@pytest.fixture(params=ODE_OF)
def name(request):
    return request.param


@pytest.mark.parametrize("path", ["linear", "vp", "cosine"])
def test_at_zero_noise_the_solver_is_its_ode_solver(name, path):
    path = create("path", path)
    quiet = create("solver", name, steps=7, noise=0.0, grid="lambda").plan(path=path)
    plain = create("solver", ODE_OF[name], steps=7, grid="lambda").plan(path=path)
    assert quiet.draws == ()
    assert canonical(quiet).close_to(canonical(plain))


def test_noise_costs_no_evaluations(name):
    path = create("path", "linear")
    noisy, quiet = (create("solver", name, steps=9, noise=v).plan(path=path) for v in (0.7, 0.0))
    assert noisy.nfe == quiet.nfe
    assert len(noisy.draws) > 0


def test_the_last_step_adds_no_noise(name):
    path = create("path", "vp")
    plan = create("solver", name, steps=4).plan(path=path)
    ends = canonical(plan).noise[-1]
    assert len(ends) <= 3
    assert create("solver", name, steps=1).plan(path=path).draws == ()


def moments(solver, field, path):
    """Return the exact mean and variance of the discrete recursion from N(0, 1).

    Gaussian data make u affine in x, so that the end state is a constant plus weights on x0 and on
    each draw.
    """
    form = canonical(solver.plan(path=path))
    draws = form.noise.shape[1]
    t = torch.tensor(np.tile(form.t, 2))
    at = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat_interleave(len(form.t), 0)
    zeros, ones = field(at, t).view(2, -1).numpy()
    velocities = np.zeros((len(form.t), 2 + draws))
    for k, (zero, one) in enumerate(zip(zeros, ones, strict=True)):
        state = np.concatenate([[0.0, form.a[k]], form.noise[k]]) + form.b[k] @ velocities
        velocities[k] = (one - zero) * state
        velocities[k, 0] += zero
    end = np.concatenate([[0.0, form.a[-1]], form.noise[-1]]) + form.b[-1] @ velocities
    return end[0], float((end[1:] ** 2).sum())


def test_samples_have_the_moments_of_the_discrete_recursion(name):
    path = create("path", "linear")
    field = gaussian(path, 1)
    solver = create("solver", name, steps=6)
    mean, variance = moments(solver, field, path)
    n = 20_000
    x0 = torch.randn((n, 1), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = solver.solve(Problem(field, x0, path=path)).x
    assert abs(float(x.mean()) - mean) < 5 * math.sqrt(variance / n)
    assert abs(float(x.var()) / variance - 1) < 5 * math.sqrt(2 / n)


def test_euler_maruyama_is_the_ornstein_uhlenbeck_recursion():
    """With u = 0 for data N(0, 1) and alpha^2 + sigma^2 = 1, only the Langevin part remains."""
    path = create("path", "cosine")
    field = GaussianMixtureField(path, [[0.0]], [1.0])
    solver = create("solver", "euler_maruyama", steps=10, noise=1.5, grid="uniform")
    expected, grid = 1.0, np.linspace(0, 1, 11)
    for s in grid[:-2]:
        g = 1.5 * math.cos(math.pi / 2 * s)
        expected = expected * (1 - g**2 / 2 * 0.1) ** 2 + g**2 * 0.1
    mean, variance = moments(solver, field, path)
    assert mean == pytest.approx(0, abs=1e-12)
    assert variance == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("path", ["linear", "vp", "cosine"])
@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_moments_of_gaussian_data_are_preserved_for_any_noise(name, path, noise):
    path = create("path", path)
    field = gaussian(path, 1)
    errors = []
    for steps in (32, 128):
        mean, variance = moments(create("solver", name, steps=steps, noise=noise), field, path)
        errors.append(max(abs(mean - 1.5), abs(variance / 0.16 - 1)))
    assert errors[1] < 0.1
    assert errors[1] < 0.4 * errors[0] or errors[1] < 6e-3  # vp starts near N(0, 1), not at it


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_the_weights_and_widths_of_a_mixture_are_preserved(name, noise):
    path = create("path", "linear")
    field = GaussianMixtureField(path, [[-2.0], [2.0]], [0.5, 0.3], [0.3, 0.7])
    n = 3000
    x0 = torch.randn((n, 1), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = create("solver", name, steps=60, noise=noise).solve(Problem(field, x0, path=path)).x
    left = x[x < 0]
    assert abs(len(left) / n - 0.3) < 5 * math.sqrt(0.3 * 0.7 / n)
    assert abs(float(left.std()) / 0.5 - 1) < 5 / math.sqrt(2 * len(left)) + 0.03
    assert abs(float(x[x > 0].std()) / 0.3 - 1) < 5 / math.sqrt(2 * (n - len(left))) + 0.03


def test_a_sample_is_a_function_of_seed_and_id(name):
    path = create("path", "linear")
    field, solver = gaussian(path), create("solver", name, steps=8)
    x0 = torch.zeros((6, 2), dtype=torch.float64)
    problem = Problem(field, x0, path=path, seed=3, sample_ids=torch.arange(10, 16))
    together = solver.solve(problem).x
    alone = solver.solve(replace(problem, x0=x0[2:3], sample_ids=torch.tensor([12]))).x
    torch.testing.assert_close(alone, together[2:3], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(together[0], together[1])
    single = solver.solve(replace(problem, x0=x0.float())).x
    torch.testing.assert_close(single.double(), together, rtol=1e-4, atol=1e-4)


def test_the_fresh_noise_has_the_temperature_of_the_source(name):
    """With x0 at temperature 0.5 the fresh noise is half as wide and the drift is the same."""
    cool = create("path", "linear", source=Gaussian(0.5))
    path = create("path", "linear")
    plan, scaled = (create("solver", name, steps=12).plan(path=p) for p in (path, cool))
    ours, theirs = canonical(plan), canonical(scaled)
    np.testing.assert_allclose(theirs.noise, 0.5 * ours.noise, rtol=1e-12)
    np.testing.assert_allclose(theirs.b, ours.b, rtol=1e-12)


def test_direct_and_checkpointed_gradients_use_the_same_noise(name):
    path = create("path", "linear")
    field, solver = gaussian(path), create("solver", name, steps=5)
    found = []
    for grad in ("direct", "checkpoint"):
        x0 = torch.ones((3, 2), dtype=torch.float64, requires_grad=True)
        x = solver.solve(Problem(field, x0, path=path, grad=grad)).x
        found += [x.detach(), *torch.autograd.grad(x.square().sum(), x0)]
    torch.testing.assert_close(found[0], solver.solve(Problem(field, x0.detach(), path=path)).x)
    torch.testing.assert_close(found[:2], found[2:])


def test_backward_solves_divergences_and_negative_noise_are_refused(name):
    path, solver = create("path", "linear"), create("solver", name, steps=5)
    x0 = torch.zeros((2, 2))
    with pytest.raises(ComponentError, match="from noise to data"):
        solver.solve(Problem(gaussian(path), x0, 1.0, 0.0, path=path))
    with pytest.raises(ComponentError, match="use an ODE"):
        solver.solve(Problem(gaussian(path), x0, path=path, augmentation=Augmentation()))
    with pytest.raises(ComponentError, match="from noise to data"):
        log_prob(gaussian(path), x0, path=path, solver=solver)
    with pytest.raises(ComponentError, match="noise must be at least 0"):
        type(solver)(steps=5, noise=-1.0)


def test_an_optimal_transport_coupling_is_refused_since_it_gives_no_score(name):
    solver = create("solver", name, steps=5)
    reasons = refusals(
        create("path", "linear"),
        create("coupling", "minibatch_ot"),
        create("objective", "flow_matching"),
        solver=solver,
    )
    assert len(reasons) == 1
    assert "needs the score" in reasons[0]


def test_ancestral_noise_above_one_is_refused():
    with pytest.raises(ComponentError, match="at most 1"):
        type(create("solver", "ancestral"))(noise=1.5)
