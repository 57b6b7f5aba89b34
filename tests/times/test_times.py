"""The built-in distributions of training times: the suite, and closed forms in float64."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from fmcore import ComponentError, create
from fmcore.registry import registry
from fmcore.testing import TimeSuite, run_suite

SETTINGS = [
    ("uniform", {}),
    ("stratified", {}),
    ("logit_normal", {"mean": -0.5, "std": 1.2}),
    ("beta", {"alpha": 0.5, "beta": 0.7}),
    ("mode", {"scale": -0.8}),
    ("cosmap", {}),
    ("power", {"power": 0.6}),
    ("u_shaped", {"rate": 6.0}),
    ("edm", {"log_mean": -0.4, "log_std": 1.0}),
    ("shifted", {"shift": 0.5, "base": "logit_normal"}),
]
T = torch.tensor([0.05, 0.3, 0.5, 0.8, 0.97], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_built_in_time_is_tested_here():
    built_in = {e.name for e in registry().entries("time") if e.plugin == "fmcore_times"}
    assert {name for name, _ in SETTINGS} == built_in


@pytest.mark.parametrize("options", [True, False], ids=["set", "default"])
@pytest.mark.parametrize(("name", "own"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_every_built_in_time_keeps_the_laws(name, own, options):
    class Own(TimeSuite):
        def component(self):
            return create("time", name, **(own if options else {}))

    assert not [f"{r.name}: {r.message}" for r in run_suite(Own) if not r.passed]


def test_the_density_of_beta_is_scipys():
    time = create("time", "beta", alpha=0.5, beta=2.5)
    wanted = torch.from_numpy(stats.beta(0.5, 2.5).pdf(T.numpy()))
    torch.testing.assert_close(time.density(T), wanted, rtol=1e-12, atol=0)


def test_edm_gives_log_normal_noise_levels():
    # sigma = (1 - t) / t is log-normal: density of t by change of variables, |d sigma / dt| = 1/t^2
    sigma = (1 - T) / T
    log_normal = stats.lognorm(s=1.2, scale=math.exp(-1.2)).pdf(sigma.numpy())
    wanted = torch.from_numpy(log_normal) / T**2
    torch.testing.assert_close(create("time", "edm").density(T), wanted, rtol=1e-12, atol=0)


def test_the_logit_of_logit_normal_draws_has_the_given_mean_and_standard_deviation():
    t = create("time", "logit_normal", mean=-0.5, std=1.2).sample(20_000, generator())
    logit = t.double().logit()
    assert logit.mean().item() == pytest.approx(-0.5, abs=0.03)
    assert logit.std().item() == pytest.approx(1.2, abs=0.03)


def test_the_mode_has_the_slope_of_its_quantiles_as_density():
    time = create("time", "mode")
    u = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
    h = 1e-6
    slope = (time.quantile(u + h) - time.quantile(u - h)) / (2 * h)
    torch.testing.assert_close(time.density(time.quantile(u)), 1 / slope, rtol=1e-8, atol=0)
    assert time.density(torch.tensor([0.5])) > time.density(torch.tensor([0.2]))


def test_cosmap_gives_a_straight_path_the_signal_to_noise_ratios_of_the_cosine_path():
    u = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    t = create("time", "cosmap").quantile(u)
    straight, cosine = create("path", "linear"), create("path", "cosine")
    torch.testing.assert_close(straight.log_snr(t), cosine.log_snr(u), rtol=1e-9, atol=1e-9)


def test_shifted_times_have_so_many_times_the_noise_level():
    base, shifted = create("time", "uniform"), create("time", "shifted", shift=3.0)
    s, t = (time.sample(64, generator()).double() for time in (base, shifted))
    torch.testing.assert_close((1 - t) / t, 3 * (1 - s) / s, rtol=1e-4, atol=1e-6)


def test_shifted_stratified_times_stay_stratified():
    time = create("time", "shifted", shift=3.0, base="stratified")
    parts = torch.cat([time.sample(25, generator(k), (k, 4)) for k in range(4)]).double()
    s = 3 * parts / (1 + 2 * parts)
    assert sorted((s * 100).long().clamp(max=99).tolist()) == list(range(100))


def test_u_shaped_times_have_the_ratio_of_their_exponentials():
    time = create("time", "u_shaped", rate=4.0)
    ends = time.density(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert ends[0] == pytest.approx(ends[2].item())
    assert (ends[0] / ends[1]).item() == pytest.approx(math.cosh(2.0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("beta", {"alpha": 0.0}),
        ("mode", {"scale": 1.76}),
        ("mode", {"scale": -1.0}),
        ("power", {"power": -1.0}),
        ("shifted", {"shift": 0.0}),
        ("logit_normal", {"std": 0.0}),
        ("u_shaped", {"rate": 16.0}),
    ],
)
def test_options_without_a_density_on_the_interval_are_refused(name, options):
    with pytest.raises(ComponentError, match=next(iter(options))):
        create("time", name, **options)
