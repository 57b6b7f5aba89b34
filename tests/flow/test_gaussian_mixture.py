"""The exact flows against autograd, quadrature and one another."""

from __future__ import annotations

import pytest
import torch

from fmcore import ComponentError, Problem, create
from fmcore.flow.gaussian_mixture import (
    GaussianMixtureField,
    eight_gaussians,
    gaussian,
    stiff_mixture,
)

PATHS = [create("path", name) for name in ("linear", "vp", "cosine")]
MIXTURES = [gaussian, eight_gaussians, stiff_mixture]


def points(n: int = 16, d: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(n, d, generator=g, dtype=torch.float64)
    return x, 0.02 + 0.96 * torch.rand(n, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mixture", MIXTURES)
def test_score_is_the_gradient_of_the_density(path: object, mixture: object) -> None:
    field, (x, t) = mixture(path), points()
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(field.log_prob(x, t).sum(), x)
    torch.testing.assert_close(field.score(x, t), gradient)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mixture", MIXTURES)
def test_divergence_is_the_trace_of_the_jacobian(path: object, mixture: object) -> None:
    field, (x, t) = mixture(path), points()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p, s: field(p[None], s[None])[0]))(x, t)
    torch.testing.assert_close(field.divergence(x, t), jacobian.diagonal(dim1=1, dim2=2).sum(1))


@pytest.mark.parametrize("path", PATHS)
def test_density_obeys_the_continuity_equation(path: object) -> None:
    """d log p / dt = -div u - u . score."""
    field, (x, t) = eight_gaussians(path), points()
    t.requires_grad_()
    (rate,) = torch.autograd.grad(field.log_prob(x, t).sum(), t)
    flux = field.divergence(x, t) + (field(x, t) * field.score(x, t)).sum(1)
    torch.testing.assert_close(rate, -flux, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mixture", MIXTURES)
def test_predictions_are_the_paths_own_conversions(path: object, mixture: object) -> None:
    field, (x, t) = mixture(path), points()
    u = field(x, t)
    for value, target in ((field.data(x, t), "data"), (field.score(x, t), "score")):
        converted = path.convert(u, x, t, source="velocity", target=target)
        torch.testing.assert_close(converted, value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("path", PATHS)
def test_one_component_moves_as_solved(path: object) -> None:
    field, (x, _) = gaussian(path, 3), points(d=3)
    there, logdet = field.exact(x, path.t_min, path.t_max)
    solver = create("solver", "dopri8", rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(solver.solve(Problem(field, x, path=path)).x, there)
    start, end = (x.new_full((len(x),), t) for t in (path.t_min, path.t_max))
    torch.testing.assert_close(field.log_prob(x, start) - logdet, field.log_prob(there, end))


def test_draws_have_the_density_claimed() -> None:
    field = GaussianMixtureField(PATHS[0], [[0.0], [3.0]], [0.5, 0.1], [1, 3])
    x = field.draw(20_000, torch.Generator().manual_seed(0))
    assert float((x > 1.5).double().mean()) == pytest.approx(0.75, abs=0.02)
    assert float(x[x > 1.5].std()) == pytest.approx(0.1, abs=0.01)


def test_several_components_have_no_closed_solution() -> None:
    with pytest.raises(ComponentError, match="8 components has no closed form"):
        eight_gaussians(PATHS[0]).exact(torch.zeros(1, 2), 0.0, 1.0)


def test_a_width_of_zero_is_refused() -> None:
    with pytest.raises(ComponentError, match="widths and weights above 0"):
        GaussianMixtureField(PATHS[0], [[0.0]], [0.0])
