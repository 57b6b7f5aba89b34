"""The discrete schedules of diffusion models as paths in continuous time."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from fmcore import ComponentError, create
from fmcore.testing import PathSuite


class TestLinear(PathSuite):
    def component(self):
        return create("path", "discrete_vp")


class TestScaledLinear(PathSuite):
    def component(self):
        return create(
            "path",
            "discrete_vp",
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
        )


class TestCosine(PathSuite):
    def component(self):
        return create("path", "discrete_vp", beta_schedule="squaredcos_cap_v2")


class TestZeroTerminalSNR(PathSuite):
    def component(self):
        return create("path", "discrete_vp", rescale_betas_zero_snr=True)


class TestFewSteps(PathSuite):
    def component(self):
        return create("path", "discrete_vp", num_train_timesteps=20, beta_end=0.7)


class TestBetasOfTheirOwn(PathSuite):
    def component(self):
        betas = tuple(np.geomspace(1e-3, 0.8, 40).tolist())
        return create("path", "discrete_vp", trained_betas=betas, num_train_timesteps=40)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_alpha_is_the_product_of_the_steps_at_the_times_of_training(schedule):
    path = create("path", "discrete_vp", beta_schedule=schedule)
    if schedule == "linear":
        beta = [1e-4 + (0.02 - 1e-4) * i / 999 for i in range(1000)]
    elif schedule == "scaled_linear":
        beta = [(0.01 + (math.sqrt(0.02) - 0.01) * i / 999) ** 2 for i in range(1000)]
    else:
        f = [math.cos((i / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(1001)]
        beta = [min(1 - f[i + 1] / f[i], 0.999) for i in range(1000)]
    alpha_bar, product = [], 1.0
    for b in beta:
        product *= 1 - b
        alpha_bar.append(product)
    tau = torch.arange(1000, dtype=torch.float64)
    c = path.coefficients(1 - (tau + 1) / 1000)
    wanted = torch.tensor(alpha_bar, dtype=torch.float64)
    torch.testing.assert_close(c.alpha.square(), wanted, rtol=1e-9, atol=0)
    torch.testing.assert_close(c.sigma.square(), 1 - wanted, rtol=1e-9, atol=0)


def test_the_linear_schedule_approximates_the_continuous_vp():
    discrete, continuous = create("path", "discrete_vp"), create("path", "vp")
    t = torch.linspace(0, 0.999, 100, dtype=torch.float64)
    away = (discrete.log_snr(t) - continuous.log_snr(t)).abs().max()
    assert 0.01 < away < 0.2


def test_sigma_falls_to_zero_at_a_finite_speed_after_the_last_step():
    path = create("path", "discrete_vp")
    t = torch.tensor([0.999, 1 - 1e-9, 1.0], dtype=torch.float64)
    c = path.coefficients(t)
    assert c.sigma[0] == pytest.approx(0.01, rel=1e-9)
    assert c.sigma[2] == 0
    assert c.alpha[2] == 1
    assert bool(c.d_sigma.isfinite().all())
    assert path.t_max == 1


def test_the_velocity_is_continuous_where_the_last_step_begins():
    """There the spline ends and the descent of sigma to 0 begins."""
    path = create("path", "discrete_vp")
    t = 0.999 + torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
    d_sigma = path.coefficients(t).d_sigma
    torch.testing.assert_close(d_sigma[0], d_sigma[1], rtol=1e-5, atol=0)


def test_alpha_is_zero_at_the_noise_with_zero_terminal_snr():
    path = create("path", "discrete_vp", rescale_betas_zero_snr=True)
    c = path.coefficients(torch.tensor([0.0, 0.999], dtype=torch.float64))
    assert c.alpha[0] == 0
    assert c.sigma[0] == 1
    assert float(c.alpha[1] ** 2) == pytest.approx(
        1 - 1e-4, rel=1e-9
    )  # the first step is unchanged


def test_betas_of_another_number_are_refused():
    with pytest.raises(ComponentError, match=r"trained_betas holds 5 numbers; num_train_timesteps"):
        create("path", "discrete_vp", trained_betas=(0.1,) * 5)


def test_betas_outside_their_range_are_refused():
    with pytest.raises(ComponentError, match="trained_betas must be between 0 and 1"):
        create("path", "discrete_vp", trained_betas=(0.1,) * 4 + (1.5,), num_train_timesteps=5)


@pytest.mark.parametrize("betas", [(0.5, 0.9), (0.99, 0.999)])
def test_betas_that_leave_no_data_in_float32_are_refused(betas):
    with pytest.raises(ComponentError, match="so that alpha is 0 in float32: choose smaller"):
        create("path", "discrete_vp", beta_start=betas[0], beta_end=betas[1])


def test_the_python_of_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "pretrained.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(block, {})
    assert float(capsys.readouterr().out) < 0
