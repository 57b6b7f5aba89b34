"""The paths against the paper's formulas, in its diffusion time s = 1 - t where it uses that."""

from __future__ import annotations

import math

import pytest
import torch

from fmcore import ComponentError, Gaussian, Rows, create
from fmcore.interfaces.derivative import with_derivative

AFFINE = ["ot", "linear", "vp", "ve", "cosine", "polynomial"]


def draws(n=7, width=3):
    g = torch.Generator().manual_seed(1)
    return (torch.randn(n, width, generator=g, dtype=torch.float64) for _ in range(2))


def times(path, n=7):
    return torch.linspace(path.t_min, path.t_max, n, dtype=torch.float64)


def test_ot_is_equations_20_to_23():
    path, sigma_min = create("path", "ot", sigma_min=0.01), 0.01
    (x0, x1), t = draws(), times(path)
    s, t = path.sample(x0, x1, t), t[:, None]
    torch.testing.assert_close(s.xt, (1 - (1 - sigma_min) * t) * x0 + t * x1)
    torch.testing.assert_close(s.ut, x1 - (1 - sigma_min) * x0)
    field = (x1 - (1 - sigma_min) * s.xt) / (1 - (1 - sigma_min) * t)
    torch.testing.assert_close(s.ut, field)


def test_linear_is_ot_without_sigma_min():
    (x0, x1), t = draws(), torch.linspace(0, 1, 7, dtype=torch.float64)
    linear = create("path", "linear").sample(x0, x1, t)
    ot = create("path", "ot", sigma_min=0.0).sample(x0, x1, t)
    assert torch.equal(linear.xt, ot.xt)
    assert torch.equal(linear.ut, ot.ut)
    assert torch.equal(linear.ut, x1 - x0)


def vp_schedule(t):
    """alpha, sigma^2, T' at diffusion time 1 - t, as printed."""
    s = 1 - t
    big_t = s * 0.1 + s**2 / 2 * (20 - 0.1)
    return (-big_t / 2).exp(), 1 - (-big_t).exp(), 0.1 + s * (20 - 0.1)


def test_vp_is_equation_19():
    path = create("path", "vp")
    (x0, x1), t = draws(), times(path)
    s = path.sample(x0, x1, t)
    alpha, variance, beta = (v[:, None] for v in vp_schedule(t))
    d_alpha = -beta / 2 * alpha  # by diffusion time
    field = d_alpha / variance * (alpha * s.xt - x1)
    torch.testing.assert_close(s.ut, field, rtol=1e-7, atol=1e-7)
    assert path.t_max == 1 - 1e-5


def test_equation_46_equals_equation_19_for_the_exact_score():
    """The paper prints s as the negative of the score."""
    path = create("path", "vp")
    (x0, x1), t = draws(), times(path)
    s = path.sample(x0, x1, t)
    alpha, variance, beta = (v[:, None] for v in vp_schedule(t))
    printed = (s.xt - alpha * x1) / variance
    probability_flow = -beta / 2 * (printed - s.xt)
    torch.testing.assert_close(probability_flow, s.ut, rtol=1e-7, atol=1e-7)
    converted = path.convert(-printed, s.xt, t, source="score", target="velocity")
    torch.testing.assert_close(converted, probability_flow, rtol=1e-7, atol=1e-7)


def test_ve_is_equation_17_with_the_schedule_of_song():
    path = create("path", "ve", sigma_min=0.02, sigma_max=30.0)
    (x0, x1), t = draws(), times(path)
    s = path.sample(x0, x1, t)
    sigma = 0.02 * (30 / 0.02) ** (1 - t[:, None])
    torch.testing.assert_close(s.xt, x1 + sigma * x0)
    d_sigma = math.log(30 / 0.02) * sigma  # by diffusion time
    torch.testing.assert_close(s.ut, -d_sigma / sigma * (s.xt - x1))


@pytest.mark.parametrize("name", AFFINE)
def test_the_velocity_of_the_flow_map_is_theorem_3(name):
    """u(x | x1) = (sigma'/sigma)(x - mu) + mu', against autograd of the flow map psi."""
    path = create("path", name)
    (x0, x1), t = draws(), times(path)[1:-1]
    x0, x1 = x0[1:-1], x1[1:-1]

    def flow(time):
        return path.sample(x0, x1, time).xt

    def spread(time):
        return path.coefficients(time).sigma.log()

    def mean(time):
        return path.coefficients(time).alpha[:, None] * x1

    x, along = with_derivative(flow, t)
    d_log_sigma = with_derivative(spread, t)[1][:, None]
    mu, d_mu = with_derivative(mean, t)
    torch.testing.assert_close(d_log_sigma * (x - mu) + d_mu, along)
    torch.testing.assert_close(path.sample(x0, x1, t).ut, along)


@pytest.mark.parametrize(
    ("name", "at_noise", "at_data"),
    [
        ("ot", (0, 1), (1, 1e-4)),
        ("linear", (0, 1), (1, 0)),
        ("cosine", (0, 1), (1, 0)),
        ("polynomial", (0, 1), (1, 0)),
        ("ve", (1, 50), (1, 0.01)),
        ("vp", (math.exp(-10.05 / 2), math.sqrt(1 - math.exp(-10.05))), (1, 0)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_are_exact(name, at_noise, at_data, dtype):
    c = create("path", name).coefficients(torch.tensor([0.0, 1.0], dtype=dtype))
    close = {"rtol": 8 * torch.finfo(dtype).eps, "atol": 0}
    found = torch.stack([c.alpha, c.sigma], 1)
    torch.testing.assert_close(found, torch.tensor([at_noise, at_data], dtype=dtype), **close)


def test_vp_gives_a_finite_product_at_the_end_where_its_derivative_is_infinite():
    c = create("path", "vp").coefficients(torch.ones(1, dtype=torch.float64))
    assert c.d_sigma.item() == -math.inf
    torch.testing.assert_close(c.sigma_d_sigma, -c.alpha * c.d_alpha)


@pytest.mark.parametrize("name", AFFINE)
def test_the_prior_is_the_noise_at_the_start(name):
    path = create("path", name)
    sigma = path.coefficients(torch.tensor(path.t_min, dtype=torch.float64)).sigma
    noise, prior = (
        source.sample(Rows(0, "x", 0, range(9)), (2,)) for source in (path.noise(), path.prior())
    )
    torch.testing.assert_close(prior, noise * sigma.float())
    x = torch.randn(5, 2, dtype=torch.float64)
    wanted = torch.distributions.Normal(0, sigma).log_prob(x).sum(1)
    torch.testing.assert_close(path.prior().log_prob(x), wanted)


@pytest.mark.parametrize("name", AFFINE)
def test_log_snr_and_its_inverse_up_to_the_ends(name):
    path = create("path", name)
    near = torch.tensor([1e-7, 1e-4, 0.3, 0.5], dtype=torch.float64)
    t = torch.cat([path.t_min + near, path.t_max - near])
    c = path.coefficients(t)
    torch.testing.assert_close(path.log_snr(t), (c.alpha**2 / c.sigma**2).log())
    torch.testing.assert_close(path.inverse_log_snr(path.log_snr(t)), t, rtol=1e-6, atol=0)
    beyond = path.inverse_log_snr(torch.tensor([-math.inf, math.inf]))
    assert beyond.tolist() == torch.tensor([path.t_min, path.t_max]).tolist()


def test_log_snr_takes_times_of_any_shape():
    path = create("path", "ot")
    t = torch.rand(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(path.inverse_log_snr(path.log_snr(t)), t)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_at_the_ends_conversions_use_the_mean_of_what_xt_does_not_determine(name):
    path = create("path", name)
    (x0, x1), t = draws(2), torch.tensor([0.0, 1.0], dtype=torch.float64)
    s, c = path.sample(x0, x1, t), path.coefficients(t)
    velocity = path.convert(x1, s.xt, t, source="data", target="velocity")
    torch.testing.assert_close(velocity[1], c.d_alpha[1] * x1[1])  # the noise has mean 0
    velocity = path.convert(x0, s.xt, t, source="noise", target="velocity")
    torch.testing.assert_close(velocity[0], c.d_sigma[0] * x0[0])  # so have centred data
    noise = path.convert(x1, s.xt, t, source="data", target="noise")
    assert noise[1].tolist() == [0, 0, 0]


def test_vp_converts_the_infinite_velocity_at_the_end_to_the_data():
    path = create("path", "vp")
    t = torch.ones(2, dtype=torch.float64)
    x1 = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
    found = path.convert(torch.ones_like(x1), x1, t, source="velocity", target="data")
    torch.testing.assert_close(found, x1)


def test_the_score_depends_on_the_temperature():
    path = create("path", "linear", source=Gaussian(temperature=0.5))
    x = torch.tensor([[0.4]], dtype=torch.float64)
    t = torch.tensor([0.25], dtype=torch.float64)
    x1 = torch.tensor([[1.0]], dtype=torch.float64)
    score = path.convert(x1, x, t, source="data", target="score")
    torch.testing.assert_close(score, -(x - 0.25) / (0.75 * 0.5) ** 2)


def test_a_score_is_refused_for_a_source_that_is_not_gaussian():
    path = create("path", "linear", source={"name": "from_condition", "key": "low"})
    x, t = torch.ones(1, 2), torch.full((1,), 0.5)
    noise = path.convert(x, x, t, source="velocity", target="noise")
    assert noise.shape == x.shape
    with pytest.raises(ComponentError, match="starts from FromCondition: the score"):
        path.convert(x, x, t, source="velocity", target="score")


@pytest.mark.parametrize("shape", [(4,), (4, 4), (3, 4, 4)])
def test_conversions_broadcast_time_from_the_leading_dimension(shape):
    path = create("path", "ot")
    g = torch.Generator().manual_seed(2)
    x0, x1 = (torch.randn((4, *shape), generator=g, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64)
    s = path.sample(x0, x1, t)
    torch.testing.assert_close(path.convert(s.ut, s.xt, t, source="velocity", target="data"), x1)


def test_a_scalar_time_is_refused():
    path, x = create("path", "ot"), torch.zeros(3, 2)
    with pytest.raises(ComponentError, match=r"time must have shape \(batch,\) = \(3,\)"):
        path.sample(x, x, torch.tensor(0.5))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ot", {"sigma_min": -0.1}, "sigma_min"),
        ("ot", {"sigma_min": 1.0}, "sigma_min"),
        ("vp", {"beta_min": 3.0, "beta_max": 2.0}, "beta_max must be at least beta_min"),
        ("ve", {"sigma_min": 60.0}, "sigma_max must be above sigma_min"),
        ("polynomial", {"degree": 0.5}, "degree"),
        ("polynomial", {"degree": 1e6}, "degree"),
        ("vp", {"beta_min": -0.1}, "beta_min"),
        ("vp", {"beta_max": 1e6}, "beta_max"),
        ("ve", {"sigma_min": -0.1}, "sigma_min"),
        ("ve", {"sigma_min": 1e-300, "sigma_max": 1e300}, "sigma_min"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ComponentError, match=message):
        create("path", name, **options)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("ot", "sigma_min"),
        ("vp", "beta_min"),
        ("vp", "beta_max"),
        ("ve", "sigma_min"),
        ("ve", "sigma_max"),
        ("polynomial", "degree"),
    ],
)
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_options_that_are_not_finite_are_refused(name, option, value):
    with pytest.raises(ComponentError, match=option):
        create("path", name, **{option: value})


def test_options_are_checked_without_a_recipe_too():
    from fmcore_paths.ot import OTPath

    with pytest.raises(ComponentError, match="OTPath: sigma_min must be >= 0, got -1"):
        OTPath(sigma_min=-1)
    with pytest.raises(ComponentError, match="must be a finite number, got nan"):
        OTPath(sigma_min=math.nan)


@pytest.mark.parametrize("name", ["ot", "vp", "brownian_bridge"])
def test_levels_of_images_are_refused_with_the_function_that_converts_them(name):
    path, t = create("path", name), torch.full((2,), 0.5)
    k, x = torch.full((2, 1, 4, 4), 7, dtype=torch.uint8), torch.zeros(2, 1, 4, 4)
    with pytest.raises(ComponentError, match=r"x1 is torch\.uint8: .* fmcore\.from_levels\(k"):
        path.sample(x, k, t, x)
    with pytest.raises(ComponentError, match=r"x0 is torch\.uint8"):
        path.sample(k, x, t, x)
