"""`loss_on`: the error of a converted prediction, as a factor of the error of the prediction."""

from __future__ import annotations

import pytest
import torch

from fmcore import ComponentError, create

T = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)


@pytest.mark.parametrize("name", ["ot", "vp", "cosine"])
@pytest.mark.parametrize(
    ("objective", "loss_on"),
    [("data", "velocity"), ("ddpm", "velocity"), ("flow_matching", "data"), ("ddpm", "data")],
)
def test_loss_is_the_square_error_of_the_converted_prediction(name, objective, loss_on):
    path = create("path", name)
    trained = create("objective", objective, loss_on=loss_on, max_factor=1e12)
    generator = torch.Generator().manual_seed(0)
    x0, x1, prediction = torch.randn(3, 3, 4, generator=generator, dtype=torch.float64)
    x0, x1, prediction = (v[:, None].repeat(1, 2) for v in (x0[:, 0], x1[:, 0], prediction[:, 0]))
    sample = path.sample(x0, x1, T)
    converted = path.convert(prediction, sample.xt, T, source=trained.prediction, target=loss_on)
    target = {"velocity": sample.ut, "data": x1, "noise": x0}[loss_on]
    expected = (converted - target).square().mean(1)
    found = trained.loss(path, sample, prediction)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_data_on_the_velocity_of_ot_is_weighted_by_the_inverse_square_of_the_noise():
    """Li & He 2025: v = (x1 - xt) / (1 - t), bounded at 1 - t = .05."""
    path = create("path", "ot", sigma_min=0.0)
    trained = create("objective", "data", loss_on="velocity")
    t = torch.tensor([0.0, 0.5, 0.9, 0.96, 1.0], dtype=torch.float64)
    expected = torch.tensor([1.0, 4.0, 100.0, 400.0, 400.0], dtype=torch.float64)
    torch.testing.assert_close(trained.factor(path, t), expected, rtol=1e-4, atol=0)


def test_loss_on_the_prediction_itself_changes_nothing():
    path = create("path", "vp")
    plain, same = create("objective", "ddpm"), create("objective", "ddpm", loss_on="noise")
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double()
    sample = path.sample(x, x.flip(0), T)
    assert torch.equal(plain.loss(path, sample, x), same.loss(path, sample, x))


def test_loss_on_is_refused_along_a_path_that_is_not_affine():
    path = create("path", "brownian_bridge")
    with pytest.raises(ComponentError, match="not an affine"):
        create("objective", "flow_matching", loss_on="data").check(path)
