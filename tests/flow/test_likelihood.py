"""Log-densities against flows that are known exactly."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fmcore import ComponentError, create, log_prob
from fmcore.flow.gaussian_mixture import GaussianMixtureField, eight_gaussians, gaussian

PATHS = {name: create("path", name) for name in ("linear", "ot", "vp", "cosine")}


class Marginal:
    """The exact distribution at the path's beginning."""

    def __init__(self, field: GaussianMixtureField) -> None:
        self.field = field

    def log_prob(self, x: Tensor) -> Tensor:
        return self.field.log_prob(x, x.new_full((len(x),), self.field.path.t_min))


def data(field: GaussianMixtureField, n: int = 24) -> tuple[Tensor, Tensor]:
    x1 = field.draw(n, torch.Generator().manual_seed(0))
    return x1, field.log_prob(x1, x1.new_full((n,), field.path.t_max))


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("mixture", [gaussian, eight_gaussians])
def test_density_is_the_exact_one(name: str, mixture: object) -> None:
    field = mixture(PATHS[name])
    x1, exact = data(field)
    solver = create("solver", "dopri5", rtol=1e-8, atol=1e-8)
    result = log_prob(field, x1, path=field.path, prior=Marginal(field), solver=solver)
    torch.testing.assert_close(result.log_prob, exact, rtol=0, atol=2e-6)
    assert result.error is None
    assert set(result.status.tolist()) == {0}


@pytest.mark.parametrize(
    ("name", "nfe", "tolerance"),
    [
        ("midpoint", 200, 1e-2),
        ("heun3", 300, 1e-4),
        ("rk4", 200, 1e-4),
        ("ab3", 400, 1e-3),
        ("unipc", 200, 1e-2),
        ("dpmpp_2m", 200, 1e-2),
    ],
)
def test_every_plan_integrates_the_density_too(name: str, nfe: int, tolerance: float) -> None:
    field = gaussian(PATHS["cosine"])
    x1, exact = data(field)
    solver = create("solver", name, nfe=nfe)
    result = log_prob(field, x1, path=field.path, prior=Marginal(field), solver=solver)
    torch.testing.assert_close(result.log_prob, exact, rtol=0, atol=tolerance)


class Counting(nn.Module):
    """A linear field on images that counts how often it is differentiated."""

    def __init__(self, features: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        weight = torch.randn(features, features, generator=g, dtype=torch.float64)
        self.weight = nn.Parameter(weight / features)
        self.backward_passes = 0

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        if x.requires_grad:
            self.backward_passes += 1
        return (x.flatten(1) @ self.weight.T).reshape(x.shape)


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2), (2, 3, 1, 2)])
def test_any_shape_has_a_density(shape: tuple[int, ...]) -> None:
    """For u = A x: log p(x1) = log N(exp(-A) x1) - tr A."""
    field = Counting(math.prod(shape))
    x1 = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    solver = create("solver", "dopri5", rtol=1e-9, atol=1e-9)
    result = log_prob(field, x1, path=PATHS["linear"], solver=solver)
    back = torch.linalg.matrix_exp(-field.weight.detach())
    x0 = x1.flatten(1) @ back.T
    normal = -0.5 * x0.square().sum(1) - x0.shape[1] / 2 * math.log(2 * math.pi)
    expected = normal - field.weight.detach().trace()
    torch.testing.assert_close(result.log_prob, expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(result.x0.flatten(1), x0, rtol=1e-6, atol=1e-7)


def test_divergence_is_taken_only_where_it_counts() -> None:
    field = Counting(2)
    x1 = torch.ones(1, 2, dtype=torch.float64)
    result = log_prob(field, x1, path=PATHS["linear"], solver=create("solver", "midpoint", nfe=20))
    assert (result.stats.calls, field.backward_passes) == (20, 10)
    field.backward_passes = 0
    adaptive = create("solver", "dopri5", first_step=0.1)
    steps = log_prob(field, x1, path=PATHS["linear"], solver=adaptive).stats.steps
    assert field.backward_passes == 5 * steps + 1  # one of dopri5's six has no weight


def test_rademacher_is_exact_where_the_jacobian_is_diagonal() -> None:
    x1 = torch.rand(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact, estimate = (
        log_prob(lambda x, t: -(x**3), x1, path=PATHS["linear"], divergence=how).log_prob
        for how in ("exact", "hutchinson")
    )
    torch.testing.assert_close(exact, estimate)


@pytest.mark.parametrize("probe", ["rademacher", "gaussian"])
def test_standard_error_covers_the_exact_value(probe: str) -> None:
    field = Counting(6)
    x1 = torch.zeros(200, 6, dtype=torch.float64)
    solver = create("solver", "rk4", steps=4)
    exact = log_prob(field, x1, path=PATHS["linear"], solver=solver).log_prob
    found = log_prob(
        field,
        x1,
        path=PATHS["linear"],
        solver=solver,
        divergence="hutchinson",
        n_probes=16,
        probe=probe,
    )
    assert found.error is not None
    pulls = (found.log_prob - exact) / found.error
    assert float(pulls.square().mean()) == pytest.approx(1.15, abs=0.35)  # Student's t, 15 degrees


def test_gaussian_probes_vary_as_theory_says() -> None:
    """Var(e . J e) = 2 |sym J|_F^2."""
    field = Counting(5)
    x1 = torch.zeros(4000, 5, dtype=torch.float64)
    solver = create("solver", "euler", steps=1)
    found = log_prob(
        field, x1, path=PATHS["linear"], solver=solver, divergence="hutchinson", probe="gaussian"
    )
    jacobian = field.weight.detach()
    symmetric = (jacobian + jacobian.T) / 2
    assert float(found.log_prob.var()) == pytest.approx(
        2 * float(symmetric.square().sum()), rel=0.1
    )


def test_probes_belong_to_seed_and_sample() -> None:
    field = eight_gaussians(PATHS["linear"])
    x1, _ = data(field, 12)
    how = {"path": PATHS["linear"], "divergence": "hutchinson", "n_probes": 2}
    whole = log_prob(field, x1, **how, seed=5).log_prob
    ids = torch.arange(12)
    parts = [
        log_prob(field, x1[rows], **how, seed=5, sample_ids=ids[rows]).log_prob
        for rows in (slice(0, 5), slice(5, 12))
    ]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(log_prob(field, x1, **how, seed=6).log_prob, whole)


def test_prior_is_the_paths_own_and_no_graph_is_left() -> None:
    field = Counting(2)
    x1 = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    own = log_prob(field, x1, path=PATHS["linear"])
    given = log_prob(field, x1, prior=PATHS["linear"].prior())
    torch.testing.assert_close(own.log_prob, given.log_prob)
    assert not own.log_prob.requires_grad
    assert field.weight.grad is None


def test_conditions_reach_the_field() -> None:
    rate = torch.tensor([0.5, 2.0], dtype=torch.float64)

    def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        return condition["rate"][:, None] * x

    x1 = torch.zeros(2, 3, dtype=torch.float64)
    found = log_prob(field, x1, path=PATHS["linear"], condition={"rate": rate}).log_prob
    expected = -3 * rate - 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_off(mode: type) -> None:
    field = Counting(2)
    with mode():
        x1 = torch.ones(2, 2, dtype=torch.float64) + 0
        found = log_prob(field, x1, path=PATHS["linear"])
    torch.testing.assert_close(
        found.log_prob, log_prob(field, torch.ones_like(x1).clone(), path=PATHS["linear"]).log_prob
    )


def test_field_without_a_graph_is_refused_rather_than_taken_as_constant() -> None:
    field = torch.no_grad()(Counting(2).forward)
    with pytest.raises(ComponentError, match=r"do not wrap it in torch\.no_grad"):
        log_prob(field, torch.ones(2, 2, dtype=torch.float64), path=PATHS["linear"])


def test_constant_field_has_no_divergence() -> None:
    x1 = torch.ones(2, 2, dtype=torch.float64)
    found = log_prob(lambda x, t: torch.ones_like(x), x1, path=PATHS["linear"])
    torch.testing.assert_close(found.log_prob, x1.new_full((2,), -math.log(2 * math.pi)))


def test_flow_must_start_somewhere() -> None:
    with pytest.raises(ComponentError, match="give path= or prior="):
        log_prob(lambda x, t: x, torch.ones(1, 1))


class Column:
    def log_prob(self, x: Tensor) -> Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1, keepdim=True)


@pytest.mark.parametrize("prior", [Column(), torch.distributions.Normal(0.0, 1.0)])
def test_a_prior_gives_one_log_density_a_row(prior: Any) -> None:
    """`(batch, 1)` plus `(batch,)` would be `(batch, batch)`, also where batch and width agree."""
    name = type(prior).__name__
    with pytest.raises(ComponentError, match=rf"prior {name} must be .* shape \(2,\), got \(2, "):
        log_prob(lambda x, t: 0 * x, torch.ones(2, 2), prior=prior)


def test_solver_that_cannot_is_refused() -> None:
    with pytest.raises(ComponentError, match="baseline for sampling"):
        log_prob(
            lambda x, t: x,
            torch.ones(1, 1),
            path=PATHS["linear"],
            solver=create("solver", "torchdiffeq:dopri5"),
        )


def test_density_integrates_to_one() -> None:
    field = GaussianMixtureField(PATHS["cosine"], [[-1.0], [1.5]], [0.3, 0.6])
    x1 = torch.linspace(-6, 7, 401, dtype=torch.float64)[:, None]
    found = log_prob(field, x1, path=field.path).log_prob
    assert float(torch.trapezoid(found.exp(), x1[:, 0])) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", ["heun2_adaptive", "bosh3", "dopri5", "tsit5", "dopri8"])
@pytest.mark.parametrize("step_control", ["per_sample", "batch_max", "batch_rms"])
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_the_error_at_the_mean_of_a_gaussian_follows_the_tolerance(
    name: str, step_control: str, divergence: str
) -> None:
    """There the state moves on a straight line, whose error is 0 for any step: only control of the
    divergence can limit the steps.  log N(mu; mu, s^2 I) = -d/2 log(2 pi s^2).
    """
    field = gaussian(PATHS["linear"])
    mean = torch.tensor(field.means, dtype=torch.float64)
    exact = -math.log(2 * math.pi * field.stds[0] ** 2)
    for tolerance in (1e-3, 1e-5) if name == "heun2_adaptive" else (1e-3, 1e-5, 1e-7):
        solver = create("solver", name, rtol=tolerance, atol=tolerance, step_control=step_control)
        found = log_prob(field, mean, path=field.path, solver=solver, divergence=divergence)
        assert found.status.tolist() == [0]
        assert abs(float(found.log_prob) - exact) < 20 * tolerance


def test_the_tolerance_of_the_divergence_is_in_nats() -> None:
    field = gaussian(PATHS["linear"])
    mean = torch.tensor(field.means, dtype=torch.float64)
    exact = -math.log(2 * math.pi * field.stds[0] ** 2)

    def solved(logdet_atol: float | None) -> tuple[float, int]:
        solver = create("solver", "dopri5", rtol=1e-3, atol=1e-3)
        found = log_prob(field, mean, path=field.path, solver=solver, logdet_atol=logdet_atol)
        return abs(float(found.log_prob) - exact), int(found.stats.nfe)

    (none, cheap), (default, _), (tight, dear) = map(solved, (math.inf, None, 1e-8))
    assert tight < 1e-6 < default < 1e-3 < none
    assert cheap < 20 < dear


def test_a_divergence_that_is_not_finite_ends_the_solve() -> None:
    """sqrt|x| has a finite velocity at 0 and an infinite divergence."""
    x1 = torch.zeros(1, 1, dtype=torch.float64)
    found = log_prob(lambda x, t: x.abs().sqrt(), x1, path=PATHS["linear"])
    assert found.status.tolist() != [0]
