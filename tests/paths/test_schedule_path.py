"""A path defined by alpha and sigma alone: torch differentiates them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fmcore import SchedulePath, create
from fmcore.testing import PathSuite


@dataclass(frozen=True)
class Smooth(SchedulePath):
    """The velocity is 0 at both ends."""

    power: float = 2.0

    def alpha(self, t):
        return t**self.power * (3 - 2 * t)

    def sigma(self, t):
        return 1 - self.alpha(t)


@dataclass(frozen=True)
class Straight(SchedulePath):
    def alpha(self, t):
        return t

    def sigma(self, t):
        return 1 - t


@dataclass(frozen=True)
class Exploding(SchedulePath):
    """A constant schedule, which autograd does not differentiate, has derivative 0."""

    def alpha(self, t):
        return torch.ones_like(t)

    def sigma(self, t):
        return 20 * 0.001**t


class TestSmooth(PathSuite):
    def component(self):
        return Smooth()


class TestExploding(PathSuite):
    def component(self):
        return Exploding()


def test_derived_coefficients_equal_written_ones():
    t = torch.linspace(0, 1, 9, dtype=torch.float64).reshape(3, 3)
    derived, written = Straight().coefficients(t), create("path", "linear").coefficients(t)
    for name, value in vars(written).items():
        torch.testing.assert_close(getattr(derived, name), value)


def test_derivatives_work_without_gradients_enabled():
    t = torch.linspace(0, 1, 5)
    wanted = Smooth().coefficients(t).d_alpha
    with torch.no_grad():
        assert torch.equal(Smooth().coefficients(t).d_alpha, wanted)
    with torch.inference_mode():
        assert torch.equal(Smooth().coefficients(torch.linspace(0, 1, 5)).d_alpha, wanted)


def test_derivatives_compose_with_other_transforms():
    t = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    second = torch.func.vmap(torch.func.grad(lambda s: Smooth().coefficients(s).d_alpha))(t)
    torch.testing.assert_close(second, 6 - 12 * t)


def test_an_expanded_time_gives_the_same_derivatives():
    t = torch.tensor(0.25, dtype=torch.float64)
    wanted = Smooth().coefficients(t.repeat(4)).d_alpha
    assert torch.equal(Smooth().coefficients(t.expand(4)).d_alpha, wanted)
