"""Profiles of moving averages, and averages made after training, against sums written out."""

import pytest
import torch
from torch import nn

from fmcore import ComponentError
from fmcore.recipe.sections import Train
from fmcore.training.ema import Exponential, MovingAverage, Power, parts_of, profiles_of, width_of
from fmcore.training.posthoc_ema import EmaProfile, combination_weights, combine


def shares(gamma: float, t: int) -> torch.Tensor:
    """How much step s counts in the average at t: the integral of the profile over (s - 1, s]."""
    s = torch.arange(t + 1, dtype=torch.float64)
    return ((s / t) ** (gamma + 1)).diff()


def trajectory(steps: int) -> torch.Tensor:
    """Weights that settle as they do in training, `(steps, 3)`."""
    s = torch.arange(1, steps + 1, dtype=torch.float64)[:, None]
    return torch.cat([s.log(), (s / 40).sin(), (-s / 100).exp()], dim=1)


def averaged(profile, points: torch.Tensor, at: set[int]) -> dict[int, torch.Tensor]:
    model, kept = nn.Linear(3, 1, bias=False), {}
    average = MovingAverage(model, profile)
    for step, point in enumerate(points, start=1):
        with torch.no_grad():
            model.weight.copy_(point[None])
        average.update(step)
        if step in at:
            kept[step] = average.state()["weight"].clone()[0]
    return kept


@pytest.mark.parametrize("width", [0.02, 0.05, 0.1, 0.25])
def test_the_width_is_the_standard_deviation_of_the_profile(width):
    gamma, n = Power(width).gamma, 200_000
    share = shares(gamma, n)
    tau = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    mean = (share * tau).sum()
    assert float((share * (tau - mean) ** 2).sum().sqrt()) == pytest.approx(width, rel=1e-4)


@pytest.mark.parametrize("width", [0.05, 0.2])
def test_a_power_average_is_the_mean_weighted_by_a_power_of_the_step(width):
    points, profile = trajectory(300), Power(width)
    direct = shares(profile.gamma, 300) @ points
    torch.testing.assert_close(
        averaged(profile, points, {300})[300].double(), direct, rtol=1e-5, atol=1e-6
    )


def test_a_power_average_forgets_the_initialisation_at_once():
    assert Power(0.1).keep(1) == 0


def test_the_inner_product_of_profiles_is_their_integral():
    a, b, n = EmaProfile(6.9, 300.0), EmaProfile(16.97, 500.0), 500_000
    tau = (torch.arange(n, dtype=torch.float64) + 0.5) * (500 / n)
    density = [
        torch.where(tau <= p.t, (p.gamma + 1) * tau**p.gamma / p.t ** (p.gamma + 1), 0)
        for p in (a, b)
    ]
    # <a, a> x = <a, b> gives x = <a, b> / <a, a>
    expected = (density[0] * density[1]).sum() / (density[0] ** 2).sum()
    assert float(combination_weights([a], b)[0]) == pytest.approx(float(expected), rel=1e-4)


def test_a_profile_that_was_kept_is_found_again_exactly():
    kept = [EmaProfile(Power(w).gamma, t) for t in (100.0, 200.0, 300.0) for w in (0.05, 0.1)]
    weights = combination_weights(kept, kept[-1])
    torch.testing.assert_close(weights, torch.eye(6, dtype=torch.float64)[-1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [0.06, 0.08, 0.15])
def test_an_average_made_afterwards_is_the_direct_one(width):
    points = trajectory(800)
    at = set(range(50, 801, 50))
    kept, averages = [], []
    for profile in (Power(0.05), Power(0.1)):
        for step, average in averaged(profile, points, at).items():
            kept.append(EmaProfile(profile.gamma, step))
            averages.append({"w": average})
    made = combine(averages, combination_weights(kept, EmaProfile(Power(width).gamma, 800)))["w"]
    direct = shares(Power(width).gamma, 800) @ points
    nearest = averages[15]["w"].double()  # what one would take without it
    assert (made.double() - direct).abs().max() < 0.02 * (nearest - direct).abs().max()


def test_sample_weights_name_profiles_parts_and_widths():
    train = Train(steps=1, ema=(0.999, 0.9999), ema_power=(0.05, 0.1), snapshot_every=10)
    assert profiles_of(train) == [Exponential(0.999), Exponential(0.9999), Power(0.05), Power(0.1)]
    parts = parts_of(train)
    assert parts["ema"] == parts["ema:0.999"] == "ema"
    assert parts["power:0.05"] == "power:0.05"
    assert width_of("power:0.1", train) is None
    assert width_of("power:0.07", train) == 0.07
    with pytest.raises(ComponentError, match=r"no weights 'ema:0.99'; did you mean 'ema:0.999'"):
        width_of("ema:0.99", train)
    with pytest.raises(ComponentError, match=r"needs train.ema_power and train.snapshot_every"):
        width_of("power:0.07", Train(steps=1))
