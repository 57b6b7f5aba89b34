"""Posterior guidance against exact posteriors: of a Gaussian, and of a Gaussian mixture.

On a Gaussian every guided velocity is affine in x, so that the samples are M x0 + b: solves from 0
and from the unit vectors give their mean b and covariance M M^T without sampling error.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from gaussian_flow import GaussianNet, MixtureNet, field_of, posterior

from fmcore import ComponentError, Problem, create
from fmcore.flow.gaussian_mixture import GaussianMixtureField

PAGE = Path(__file__).parents[2] / "docs" / "guidance.md"
NOISE = 0.3
MEAN = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)
ROOT = torch.tensor([[1.0, 0, 0], [0.6, 0.5, 0], [-0.3, 0.4, 0.7]], dtype=torch.float64)
COVARIANCE = ROOT @ ROOT.T
MATRIX = torch.tensor([[1.0, 0, 0.5], [0, 1, -1]], dtype=torch.float64)
Y = torch.tensor([1.0, 0.4], dtype=torch.float64)
EXACT = posterior(MEAN, COVARIANCE, MATRIX, NOISE, Y)


def sampled(name, path="linear", covariance=COVARIANCE, **options):
    """The mean and covariance of the samples by `name` on the Gaussian problem."""
    along = create("path", path)
    operator = {"name": "linear", "matrix": MATRIX.tolist(), "noise": NOISE}
    guidance = create("guidance", name, operator=operator, **options)
    field = guidance.wrap(field_of(GaussianNet(along, MEAN, covariance), along))
    x0 = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    condition = field.prepare({"measurement": Y.expand(4, 2)})
    with torch.no_grad():
        solver = create("solver", "dopri5", rtol=1e-5, atol=1e-5)
        x = solver.solve(Problem(field, x0, path=along, condition=condition)).x
    steps = (x[1:] - x[0]).T
    return x[0], steps @ steps.T


def drawn(name, n=2000):
    """The mean and covariance of `n` samples, for a velocity that is not affine in x."""
    along = create("path", "linear")
    operator = {"name": "linear", "matrix": MATRIX.tolist(), "noise": NOISE}
    guidance = create("guidance", name, operator=operator)
    field = guidance.wrap(field_of(GaussianNet(along, MEAN, COVARIANCE), along))
    x0 = torch.randn((n, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    condition = field.prepare({"measurement": Y.expand(n, 2)})
    with torch.no_grad():
        problem = Problem(field, x0, path=along, condition=condition)
        x = create("solver", "midpoint", nfe=200).solve(problem).x
    return x.mean(0), x.T.cov()


def stated() -> dict[str, tuple[float, float]]:
    """The errors of mean and covariance that the page states, by method."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", PAGE.read_text("utf-8"), re.M)
    return {name: (float(mean), float(covariance)) for name, mean, covariance in rows}


@pytest.mark.parametrize("path", ["linear", "cosine"])
def test_mmps_draws_the_exact_posterior_of_a_gaussian(path):
    mean, covariance = sampled("mmps", path)
    assert (mean - EXACT[0]).abs().max() < 1e-2
    assert (covariance - EXACT[1]).abs().max() < 1e-2


def test_pgdm_is_exact_for_data_with_its_spread_in_every_direction():
    wide = 0.49 * torch.eye(3, dtype=torch.float64)
    exact = posterior(MEAN, wide, MATRIX, NOISE, Y)
    mean, covariance = sampled("pgdm", covariance=wide, spread=0.7)
    assert (mean - exact[0]).abs().max() < 1e-2
    assert (covariance - exact[1]).abs().max() < 1e-2


@pytest.mark.parametrize("name", ["pgdm", "dps", "replacement"])
def test_the_others_have_the_bias_that_the_page_states(name):
    mean, covariance = drawn(name) if name == "dps" else sampled(name)
    found = (
        float((mean - EXACT[0]).norm() / (EXACT[0] - MEAN).norm()),
        float((covariance - EXACT[1]).norm() / EXACT[1].norm()),
    )
    for error, wanted in zip(found, stated()[name], strict=True):
        assert wanted / 1.2 < error < 1.2 * wanted


def mixture_posterior(mixture: GaussianMixtureField, noise: float, y: float):
    """The weights, means and variances of the posterior given the first coordinate."""
    means, stds = (torch.tensor(v, dtype=torch.float64) for v in (mixture.means, mixture.stds))
    weights = torch.tensor(mixture.weights, dtype=torch.float64)
    total = stds**2 + noise**2
    log = weights.log() - 0.5 * ((y - means[:, 0]) ** 2 / total + total.log())
    gain = stds**2 / total
    moved = means.clone()
    moved[:, 0] += gain * (y - means[:, 0])
    return log.softmax(0), moved, gain * noise**2


@pytest.mark.parametrize("name", ["mmps", "pgdm"])
def test_a_mixture_is_sampled_near_its_posterior(name):
    """`dps` gives 0.60 for the share 0.54 of the second component, and `replacement` 0.43."""
    path = create("path", "linear")
    mixture = GaussianMixtureField(path, [[-1.0, 1.0], [1.0, -1.0], [0.5, 1.5]], [0.5, 0.5, 0.4])
    weights, means, _ = mixture_posterior(mixture, 0.3, 0.9)
    operator = {"name": "mask", "coordinates": [0], "noise": 0.3}
    field = create("guidance", name, operator=operator).wrap(field_of(MixtureNet(mixture), path))
    n = 1000
    x0 = torch.randn((n, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.tensor([[0.9, 0.0]], dtype=torch.float64).expand(n, 2)
    with torch.no_grad():
        condition = field.prepare({"measurement": y})
        problem = Problem(field, x0, path=path, condition=condition)
        x = create("solver", "midpoint", nfe=48).solve(problem).x
    # means of 1,000 draws have standard errors of about 0.04 and 0.016
    assert (x.mean(0) - weights @ means).abs().max() < 0.1
    below = float((x[:, 1] < 0).double().mean())
    assert abs(below - float(weights[1])) < 0.05


def test_a_strength_below_one_is_between_no_guidance_and_the_method():
    prior = float(COVARIANCE.trace())
    traces = [float(sampled("mmps", strength=s)[1].trace()) for s in (0.0, 0.5, 1.0)]
    assert prior == pytest.approx(traces[0], rel=1e-3)
    assert traces[0] > traces[1] > traces[2]


def test_posterior_guidance_needs_an_affine_path_from_gaussian_noise():
    guidance = create("guidance", "mmps", operator={"name": "mask", "coordinates": [0]})
    with pytest.raises(ComponentError, match="'mmps' changes the data prediction, which needs"):
        guidance.check(create("path", "brownian_bridge"))
    source = {"name": "from_condition", "key": "low"}
    with pytest.raises(ComponentError, match="needs Gaussian noise, and the source is"):
        guidance.check(create("path", "linear", source=source))


def test_dps_of_a_measurement_without_noise_is_refused():
    operator = {"name": "mask", "coordinates": [0], "noise": 0.0}
    with pytest.raises(ComponentError, match=r"divides by the noise .* use 'replacement'"):
        create("guidance", "dps", operator=operator)


def test_pnp_flow_finds_the_point_of_a_narrow_posterior():
    """With little noise in the data's hidden directions, its restoration is the posterior mean."""
    path = create("path", "linear")
    mean = torch.tensor([0.5, -0.3], dtype=torch.float64)
    covariance = torch.tensor([[1.0, 0.98], [0.98, 1.0]], dtype=torch.float64)
    exact, _ = posterior(mean, covariance, torch.eye(2, dtype=torch.float64)[:1], 0.05, Y[:1])
    operator = {"name": "mask", "coordinates": [0], "noise": 0.05}
    solver = create("solver", "pnp_flow", operator=operator, nfe=400, draws=4)
    x0 = torch.zeros(8, 2, dtype=torch.float64)
    y = torch.stack([Y[0], 0 * Y[0]]).expand(8, 2)
    field = field_of(GaussianNet(path, mean, covariance), path)
    problem = Problem(field, x0, path=path, condition={"measurement": y})
    assert (solver.solve(problem).x.mean(0) - exact).abs().max() < 0.15
