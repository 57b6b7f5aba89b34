"""Every registered path passes the path suite, with its defaults and with other options."""

from __future__ import annotations

import pytest
import torch

from fmcore import create
from fmcore.testing import PathSuite


class TestOT(PathSuite):
    def component(self):
        return create("path", "ot")


class TestCondOT(PathSuite):
    def component(self):
        return create("path", "cond_ot", sigma_min=0.05)


class TestLinear(PathSuite):
    def component(self):
        return create("path", "linear")


class TestLinearAtATemperature(PathSuite):
    def component(self):
        return create("path", "linear", source={"name": "gaussian", "temperature": 0.5})


class TestVP(PathSuite):
    def component(self):
        return create("path", "vp")


class TestShortVP(PathSuite):
    def component(self):
        return create("path", "vp", beta_min=1.0, beta_max=12.0)


class TestVE(PathSuite):
    def component(self):
        return create("path", "ve")


class TestCosine(PathSuite):
    def component(self):
        return create("path", "cosine")


class TestPolynomial(PathSuite):
    def component(self):
        return create("path", "polynomial")


class TestCubic(PathSuite):
    def component(self):
        return create("path", "polynomial", degree=3.5)


class TestBrownianBridge(PathSuite):
    def component(self):
        return create("path", "brownian_bridge")

    def moments(self, t):
        return 1 - t, t, (t * (1 - t)).sqrt()


class TestNarrowBrownianBridge(PathSuite):
    def component(self):
        return create("path", "brownian_bridge", sigma=0.3, cut=0.01)

    def moments(self, t):
        return 1 - t, t, 0.3 * (t - t**2).sqrt()


class TestInterpolant(PathSuite):
    def component(self):
        return create("path", "interpolant", scale=0.5)

    def moments(self, t):
        return 1 - t, t, 0.5 * (2 * t * (1 - t)).sqrt()


class TestTrigonometricInterpolant(PathSuite):
    def component(self):
        return create("path", "interpolant", schedule="trigonometric", gamma="sine_squared")

    def moments(self, t):
        turn = torch.pi / 2 * t
        return turn.cos(), turn.sin(), (1 - (2 * torch.pi * t).cos()) / 2


def test_a_brownian_bridge_has_the_covariance_of_its_kind():
    """cov(x_s, x_t) of one bridge, z the same at all times, is sigma^2 sqrt(s (1-s) t (1-t)), and
    its variance sigma^2 t (1-t): the closed form at five times."""
    path, n = create("path", "brownian_bridge", sigma=0.8), 100_000
    z = torch.randn(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    zero = torch.zeros_like(z)
    times = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    x = torch.cat([path.sample(zero, zero, t.expand(n), z).xt for t in times], dim=1)
    width = 0.8 * (times * (1 - times)).sqrt()
    wanted = width[:, None] * width
    torch.testing.assert_close(torch.cov(x.T), wanted, rtol=0.02, atol=1e-3)


def test_a_bridge_refuses_to_be_sampled_without_its_noise():
    x = torch.zeros(2, 1)
    with pytest.raises(Exception, match=r"needs z, a draw of path.bridge\(\)"):
        create("path", "brownian_bridge").sample(x, x, torch.full((2,), 0.5))
