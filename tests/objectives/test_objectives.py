"""The objectives against the paper's formulas; all of them give the same velocity field."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import (
    ComponentError,
    Field,
    Gaussian,
    Path,
    PathSample,
    Regression,
    VectorField,
    create,
)

MEAN, SPREAD = 0.7, 0.4


def drawn(path, n=64, seed=0):
    g = torch.Generator().manual_seed(seed)
    x0, x1 = (torch.randn(n, 2, generator=g, dtype=torch.float64) for _ in range(2))
    share = 0.02 + 0.96 * torch.rand(n, generator=g, dtype=torch.float64)
    return path.sample(x0, x1, path.t_min + (path.t_max - path.t_min) * share)


def weight(objective, path, t):
    return create("objective", objective).weight(path, t)


def test_scoreflow_is_beta_on_vp():
    path, t = create("path", "vp"), torch.linspace(0, 1 - 1e-5, 33, dtype=torch.float64)
    torch.testing.assert_close(weight("scoreflow", path, t), 0.1 + 19.9 * (1 - t))


def test_scoreflow_is_the_derivative_of_the_variance_on_ve():
    path, t = create("path", "ve"), torch.linspace(0, 1, 33, dtype=torch.float64).requires_grad_()
    (falls,) = torch.autograd.grad(path.coefficients(t).sigma.square().sum(), t)
    torch.testing.assert_close(weight("scoreflow", path, t.detach()), -falls)


@pytest.mark.parametrize("name", ["ot", "vp", "ve", "cosine"])
def test_scoreflow_is_the_squared_diffusion_coefficient_of_the_forward_sde(name):
    """dx = f x ds + g dw with s = 1 - t keeps N(alpha x1, sigma^2): f = alpha_s / alpha and
    g^2 = (sigma^2)_s - 2 f sigma^2 (docs/maths.md)."""
    path, t = create("path", name), torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    c = path.coefficients(t)
    drift = -c.d_alpha / c.alpha
    grows = -2 * c.sigma * c.d_sigma
    torch.testing.assert_close(weight("scoreflow", path, t), grows - 2 * drift * c.sigma**2)


def test_the_loss_of_score_matching_is_that_of_ddpm_for_the_converted_prediction():
    path = create("path", "vp")
    s = drawn(path)
    noise = torch.randn(s.xt.shape, generator=torch.Generator().manual_seed(1), dtype=s.xt.dtype)
    score = path.convert(noise, s.xt, s.t, source="noise", target="score")
    torch.testing.assert_close(
        create("objective", "score_matching").loss(path, s, score),
        create("objective", "ddpm").loss(path, s, noise),
    )


def test_score_losses_are_equation_42_as_printed():
    """lambda |s - (x - mu) / sigma^2|^2 for s the negative of the score."""
    path = create("path", "vp")
    s, prediction = drawn(path), torch.ones(64, 2, dtype=torch.float64)
    c = path.coefficients(s.t)
    alpha, variance = c.alpha[:, None], c.sigma[:, None] ** 2
    printed = (-prediction - (s.xt - alpha * s.x1) / variance).square().mean(1)
    for name, weight in (("score_matching", c.sigma**2), ("scoreflow", 0.1 + 19.9 * (1 - s.t))):
        loss = create("objective", name).loss(path, s, prediction)
        torch.testing.assert_close(loss, weight * printed)


class Expectation(VectorField):
    """The exact conditional expectation of a quantity for data N(0.7, 0.4^2)."""

    def __init__(self, path, quantity):
        super().__init__()
        self.path, self.quantity = path, quantity

    def forward(self, x, t, condition=None):
        c = self.path.coefficients(t)
        alpha, sigma = c.alpha[:, None], c.sigma[:, None]
        residual = (x - alpha * MEAN) / (alpha**2 * SPREAD**2 + sigma**2)
        x1, x0 = MEAN + alpha * SPREAD**2 * residual, sigma * residual
        return {
            "data": x1,
            "noise": x0,
            "score": -residual,
            "velocity": c.d_alpha[:, None] * x1 + c.d_sigma[:, None] * x0,
        }[self.quantity]


METHODS = ["flow_matching", "ddpm", "score_matching", "scoreflow", "data"]


@pytest.mark.parametrize("name", ["ot", "vp", "ve", "cosine"])
@pytest.mark.parametrize("method", METHODS)
def test_every_objective_gives_the_marginal_velocity_of_gaussian_data(name, method):
    path, objective = create("path", name), create("objective", method)
    field = Field(Expectation(path, objective.prediction), path, objective)
    t = torch.linspace(0.03, 0.97, 17, dtype=torch.float64)
    x = torch.linspace(-2, 2, 17, dtype=torch.float64)[:, None]
    torch.testing.assert_close(field(x, t), Expectation(path, "velocity")(x, t))
    for target in ("data", "noise", "score"):
        torch.testing.assert_close(
            field.predict(x, t, target=target),
            Expectation(path, target)(x, t),
            rtol=1e-6,
            atol=1e-6,
        )
    assert (field.nfe, field.forwards) == (1, 4)


@pytest.mark.parametrize("method", METHODS)
def test_the_best_linear_prediction_is_the_conditional_expectation(method):
    """Regression on the objective's targets finds what `Expectation` computes."""
    path, objective, n = create("path", "vp"), create("objective", method), 200_000
    g = torch.Generator().manual_seed(0)
    x0 = torch.randn(n, 1, generator=g, dtype=torch.float64)
    x1 = MEAN + SPREAD * torch.randn(n, 1, generator=g, dtype=torch.float64)
    t = torch.full((n,), 0.7, dtype=torch.float64)
    s = path.sample(x0, x1, t)
    features = torch.cat([torch.ones_like(s.xt), s.xt], 1)
    # The default driver, gelsy, reads an uninitialised pivot array (pytorch/pytorch#71222).
    fit = torch.linalg.lstsq(features, objective.target(path, s), driver="gelsd").solution[:, 0]
    ends = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    at = Expectation(path, objective.prediction)(ends, t[:2])[:, 0]
    wanted = torch.stack([at[0], at[1] - at[0]])
    torch.testing.assert_close(fit, wanted, rtol=0.02, atol=0.02)


def test_infinite_scores_are_refused_with_the_option_to_set():
    linear, ot = create("path", "linear"), create("path", "ot")
    with pytest.raises(ComponentError, match="set the objective's time_max below 1"):
        create("objective", "score_matching").check(linear)
    create("objective", "score_matching", time_max=0.99999).check(linear)
    with pytest.raises(ComponentError, match="set the objective's time_min above 0"):
        create("objective", "scoreflow").check(ot)
    create("objective", "scoreflow", time_min=0.001).check(ot)
    for path in (create("path", "vp"), create("path", "ve")):
        create("objective", "scoreflow").check(path)


@dataclass(frozen=True)
class Bent(Path):
    def sample(self, x0, x1, t):
        return PathSample(x0, x1, t, x0, x1)

    def noise(self):
        return Gaussian()

    def prior(self):
        return Gaussian()


def test_a_path_that_is_not_affine_allows_velocity_prediction_alone():
    bent = Bent()
    create("objective", "flow_matching").check(bent)
    with pytest.raises(ComponentError, match="needs the alpha and sigma of an affine path"):
        create("objective", "score_matching").check(bent)
    with pytest.raises(ComponentError, match="predicts noise, which only an affine path defines"):
        create("objective", "ddpm").target(bent, drawn(bent))


def test_times_are_restricted_to_time_min_and_time_max():
    objective = create("objective", "ddpm", time_min=0.2, time_max=0.6, time="stratified")
    t = objective.sample_time(1000, torch.Generator().manual_seed(0))
    assert 0.2 <= t.min() < 0.201
    assert 0.599 < t.max() <= 0.6
    with pytest.raises(ComponentError, match="time_max must be above time_min"):
        create("objective", "ddpm", time_min=0.6, time_max=0.6)


def test_an_unknown_distribution_of_times_is_refused_with_a_suggestion():
    from fmcore_objectives.flow_matching import FlowMatching

    with pytest.raises(ComponentError, match=r"no time named 'stratifed'; did you mean 'strat"):
        create("objective", "flow_matching", time="stratifed")
    with pytest.raises(ComponentError, match="FlowMatching: time must be a Time, got 'stratified'"):
        FlowMatching(time="stratified")


@pytest.mark.parametrize(
    "options",
    [
        {"mean": float("inf")},
        {"mean": -11.0},
        {"std": 0.0},
        {"std": 1e30},
        {"time_min": -0.1},
        {"time_max": 1.1},
    ],
)
def test_distributions_of_times_out_of_range_are_refused(options):
    with pytest.raises(ComponentError, match=next(iter(options))):
        create("objective", "flow_matching", **options)


class Column(Regression):
    """An objective whose weight has a dimension too many."""

    prediction = "velocity"

    def weight(self, path, t):
        return torch.ones_like(t)[:, None]

    def sample_time(self, n, generator, part=(0, 1)):
        return torch.rand(n, generator=generator)


def test_a_weight_of_another_shape_than_the_batch_is_refused():
    """`(batch, 1)` times `(batch,)` would be `(batch, batch)`: every weight on every error."""
    path = create("path", "linear")
    sample = drawn(path, n=8)
    message = r"weight of objective Column must be .* shape \(8,\), got \(8, 1\)"
    with pytest.raises(ComponentError, match=message):
        Column().loss(path, sample, sample.ut)
