"""Every check of the path suite is failed by a path that breaks its law, and by no other check than
those that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch

from fmcore import AffinePath, Coefficients, Gaussian, Path, PathSample, Source, append_dims
from fmcore.testing import PathSuite, run_suite


@dataclass(frozen=True)
class Right(AffinePath):
    """xt = t x1 + (1 - (1 - sigma_min) t) x0, as it should be."""

    sigma_min: float = 1e-3

    def coefficients(self, t):
        one = torch.ones_like(t)
        sigma = (1 - t) + self.sigma_min * t
        return Coefficients(alpha=t, sigma=sigma, d_alpha=one, d_sigma=(self.sigma_min - 1) * one)


@dataclass(frozen=True)
class Bent(Path):
    """A right path that is not affine: on its way it bends by the product of its ends."""

    bend: float = 0.3

    def sample(self, x0, x1, t):
        t_ = append_dims(t if t.dtype == torch.float64 else t.float(), x1)
        product = self.bend * x0 * x1
        xt = (1 - t_) * x0 + t_ * x1 + torch.sin(math.pi * t_) * product
        ut = x1 - x0 + math.pi * torch.cos(math.pi * t_) * product
        return PathSample(x0, x1, t, xt.to(x1.dtype), ut.to(x1.dtype))

    def noise(self):
        return Gaussian()

    def prior(self):
        return Gaussian()


@dataclass(frozen=True)
class Warm(Right):
    """A right path whose noise has a temperature."""

    source: Source = field(default=Gaussian(temperature=0.5), kw_only=True)


class Unfrozen(Bent.__base__):
    def __init__(self):
        self.inner = Bent()

    def sample(self, x0, x1, t):
        return self.inner.sample(x0, x1, t)

    def noise(self):
        return Gaussian()

    def prior(self):
        return Gaussian()


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, sigma_min: float = 1e-3, **options: object):
        object.__setattr__(self, "sigma_min", sigma_min)
        object.__setattr__(self, "source", Gaussian())


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "sigma_min", self.sigma_min / 2)


@dataclass(frozen=True)
class BeginsBeforeTime(Right):
    t_min = -1e-3


@dataclass(frozen=True)
class InfiniteAtTheEnd(Right):
    """sigma = sqrt(1 - t) has no velocity at t = 1, and says nothing of it."""

    def coefficients(self, t):
        sigma = (1 - t).sqrt()
        return Coefficients(t, sigma, torch.ones_like(t), -0.5 / sigma, -0.5 * torch.ones_like(t))


@dataclass(frozen=True)
class AnotherPrior(Right):
    def prior(self):
        return Gaussian(temperature=2.0)


@dataclass(frozen=True)
class KnowsItsEnd(Right):
    def coefficients(self, t):
        one = torch.ones_like(t)
        return Coefficients(0.3 + 0.7 * t, 1 - t * 0.999, 0.7 * one, -0.999 * one)


@dataclass(frozen=True)
class StopsHalfway(Right):
    def coefficients(self, t):
        return Coefficients(t, 1 - t / 2, torch.ones_like(t), -torch.ones_like(t) / 2)


@dataclass(frozen=True)
class WrongSign(Right):
    def coefficients(self, t):
        c = super().coefficients(t)
        return Coefficients(c.alpha, c.sigma, c.d_alpha, -c.d_sigma)


@dataclass(frozen=True)
class DerivativeOff(Right):
    def coefficients(self, t):
        return Coefficients(t**2, 1 - t**2 * 0.999, t, -0.999 * 2 * t)


@dataclass(frozen=True)
class ForgetsSigmaMin(Right):
    """ut = x1 - x0, which is right for sigma_min = 0 alone."""

    def coefficients(self, t):
        c = super().coefficients(t)
        return Coefficients(c.alpha, c.sigma, c.d_alpha, -torch.ones_like(t))


@dataclass(frozen=True)
class TurnsBack(Right):
    """The data fade for a while: every velocity is right, but no noise level names a time."""

    def coefficients(self, t):
        alpha = t - 0.12 * torch.sin(4 * math.pi * t)
        d_alpha = 1 - 0.12 * 4 * math.pi * torch.cos(4 * math.pi * t)
        one = torch.ones_like(t)
        return Coefficients(alpha, 1 - t * 0.999, d_alpha, -0.999 * one)


@dataclass(frozen=True)
class WrongProduct(Right):
    def coefficients(self, t):
        c = super().coefficients(t)
        return Coefficients(c.alpha, c.sigma, c.d_alpha, c.d_sigma, c.d_sigma)


@dataclass(frozen=True)
class ConvertsNoiseBackwards(Right):
    def convert(self, value, xt, t, *, source, target):
        converted = super().convert(value, xt, t, source=source, target=target)
        return -converted if target == "noise" else converted


@dataclass(frozen=True)
class ConvertsDataBackwards(Right):
    """E[x1 | xt] makes the wrong marginal velocity."""

    def convert(self, value, xt, t, *, source, target):
        converted = super().convert(value, xt, t, source=source, target=target)
        return -converted if (source, target) == ("data", "velocity") else converted


@dataclass(frozen=True)
class Narrow(Bent):
    """Time against the leading dimension of vectors, and against an image's height."""

    def sample(self, x0, x1, t):
        t_ = t[:, None]
        xt = (1 - t_) * x0 + t_ * x1
        ut = (x1 - x0).expand_as(xt)
        return PathSample(x0, x1, t, xt.to(x1.dtype), ut.to(x1.dtype))


@dataclass(frozen=True)
class CentresTheBatch(Bent):
    def sample(self, x0, x1, t):
        centre = 1e-4 * x1.mean(0, keepdim=True)
        s = super().sample(x0, x1, t)
        return PathSample(x0, x1, t, s.xt + centre, s.ut)


@dataclass(frozen=True)
class DropsTheDtype(Bent):
    def sample(self, x0, x1, t):
        s = super().sample(x0, x1, t)
        return PathSample(x0, x1, t, s.xt.double(), s.ut.double())


@dataclass(frozen=True)
class CancelsDigits(Right):
    """The diffusion path with sqrt(1 - exp(-T)) written out."""

    t_max = 1 - 1e-5

    def coefficients(self, t):
        s = 1 - t
        big_t = 0.1 * s + 9.95 * s * s
        alpha, beta = (-big_t / 2).exp(), 0.1 + 19.9 * s
        sigma = (1 - (-big_t).exp()).sqrt()
        return Coefficients(alpha, sigma, beta / 2 * alpha, -beta / 2 * alpha**2 / sigma)


@dataclass(frozen=True)
class GlobalGenerator(Bent):
    def sample(self, x0, x1, t):
        s = super().sample(x0, x1, t)
        torch.rand(())
        return s


@dataclass(frozen=True)
class Remembers(Bent):
    def sample(self, x0, x1, t):
        s = super().sample(x0, x1, t)
        calls = CALLS[0] = CALLS[0] + 1
        return PathSample(x0, x1, t, s.xt + 1e-14 * calls, s.ut)


CALLS = [0]


@dataclass(frozen=True)
class Bridge(Path):
    """A right bridge: xt = (1 - t) x0 + t x1 + sin^2(pi t) z."""

    def bridge(self):
        return Gaussian()

    def sample(self, x0, x1, t, z=None):
        t_ = append_dims(t if t.dtype == torch.float64 else t.float(), x1)
        xt = (1 - t_) * x0 + t_ * x1 + torch.sin(math.pi * t_) ** 2 * z
        ut = x1 - x0 + self.speed(t_) * z
        return PathSample(x0, x1, t, xt.to(x1.dtype), ut.to(x1.dtype))

    def speed(self, t):
        return math.pi * torch.sin(2 * math.pi * t)

    def noise(self):
        return Gaussian()

    def prior(self):
        return Gaussian()


@dataclass(frozen=True)
class BridgeWithoutItsSpeed(Bridge):
    def speed(self, t):
        return torch.zeros_like(t)


@dataclass(frozen=True)
class WideBridge(Bridge):
    """Draws z twice as wide as the path that it declares."""

    def bridge(self):
        return Gaussian(2.0)


DERIVATIVE = {
    "velocity_is_the_derivative_of_the_point",
    "continuity_equation",
    "expected_velocity_is_the_marginal_one_of_gaussian_data",
    "marginal_velocity_generates_the_marginal_path",
}
WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface", "round_trip_through_a_recipe"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    BeginsBeforeTime: {"interval_lies_within_zero_and_one"},
    InfiniteAtTheEnd: {"point_and_velocity_are_finite_on_the_closed_interval"},
    AnotherPrior: {"begins_at_its_prior"},
    KnowsItsEnd: {"begins_at_its_prior"},
    StopsHalfway: {"ends_at_the_data"},
    WrongSign: DERIVATIVE,
    DerivativeOff: DERIVATIVE,
    ForgetsSigmaMin: DERIVATIVE,
    TurnsBack: {"log_snr_increases_and_has_an_inverse"},
    WrongProduct: {"coefficients_are_consistent"},
    ConvertsNoiseBackwards: {"conversions_give_back_the_drawn_pair"},
    ConvertsDataBackwards: {
        "conversions_give_back_the_drawn_pair",
        "marginal_velocity_generates_the_marginal_path",
    },
    Narrow: {"takes_every_shape"},
    CentresTheBatch: {"rows_are_independent", "takes_every_shape"},
    DropsTheDtype: {"results_have_the_dtype_of_the_data"},
    CancelsDigits: {"single_precision_is_enough"},
    GlobalGenerator: {"equal_arguments_give_equal_samples"},
    Remembers: {"equal_arguments_give_equal_samples"},
    BridgeWithoutItsSpeed: {
        "velocity_is_the_derivative_of_the_point",
        "continuity_equation",
        "same_z_at_every_time",
        "velocity_regresses_to_that_of_a_gaussian_pair",
    },
    WideBridge: {"bridge_is_drawn_around_the_mean"},
}


def suite_for(cls):
    class Checked(PathSuite):
        def component(self):
            return cls()

    return Checked()


def failures(cls):
    return {
        r.name.removeprefix("test_"): r.message for r in run_suite(suite_for(cls)) if not r.passed
    }


@pytest.mark.parametrize("cls", [Right, Bent, Warm, Bridge])
def test_a_right_path_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_path_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_path_that_fails_it():
    checks = {r.name.removeprefix("test_") for r in run_suite(suite_for(Right))}
    assert set().union(*WRONG.values()) == checks


def test_messages_tell_the_author_where_and_how_much():
    message = failures(ForgetsSigmaMin)["velocity_is_the_derivative_of_the_point"]
    assert message.startswith("ut at t = [0.01, 0.04267")
    assert "should be" in message
