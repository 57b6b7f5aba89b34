"""Every check of the time suite is failed by a distribution that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from fmcore import Time
from fmcore.testing import TimeSuite, run_suite


@dataclass(frozen=True)
class Right(Time):
    """Density 1 + slope (2 t - 1), as it should be."""

    slope: float = 0.5

    def sample(self, n, generator, part=(0, 1)):
        return self.quantile(torch.rand(n, generator=generator))

    def quantile(self, u):
        a = self.slope
        return ((a - 1) + ((1 - a) ** 2 + 4 * a * u).sqrt()) / (2 * a)

    def density(self, t):
        return 1 + self.slope * (2 * t - 1)


@dataclass(frozen=True)
class InfiniteAtBothEnds(Time):
    """A right one, whose density is 1 / (pi sqrt(t (1 - t)))."""

    def sample(self, n, generator, part=(0, 1)):
        u = torch.rand(n, generator=generator)
        return (math.pi / 2 * u).sin().square().clamp(0, 1)

    def density(self, t):
        return 1 / (math.pi * (t * (1 - t)).sqrt())


class Unfrozen(Time):
    def sample(self, n, generator, part=(0, 1)):
        return Right().sample(n, generator, part)

    def density(self, t):
        return Right().density(t)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, slope: float = 0.5, **options: object):
        object.__setattr__(self, "slope", slope)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "slope", self.slope / 2)


@dataclass(frozen=True)
class InFloat64(Right):
    def sample(self, n, generator, part=(0, 1)):
        return super().sample(n, generator).double()


@dataclass(frozen=True)
class BeyondTheEnds(Right):
    """The quantiles of a density on [0, 1], shifted by a thousandth."""

    def sample(self, n, generator, part=(0, 1)):
        return super().sample(n, generator) + 1e-3


@dataclass(frozen=True)
class GlobalGenerator(Right):
    def sample(self, n, generator, part=(0, 1)):
        torch.rand(())
        return super().sample(n, generator)


@dataclass(frozen=True)
class SameForEveryGenerator(Right):
    def sample(self, n, generator, part=(0, 1)):
        return self.quantile((torch.arange(n) + 0.5) / n)


@dataclass(frozen=True)
class LeavesOutTheEnds(Time):
    """Uniform on the six middle eighths."""

    def sample(self, n, generator, part=(0, 1)):
        return 0.125 + 0.75 * torch.rand(n, generator=generator)

    def density(self, t):
        return ((t >= 0.125) & (t <= 0.875)).to(t.dtype) / 0.75


@dataclass(frozen=True)
class DensityOfTheMean(Right):
    """Adds what depends on the other times, and vanishes for evenly spread ones."""

    def density(self, t):
        return super().density(t) + 0.1 * (t - t.mean())


@dataclass(frozen=True)
class NotNormalised(Right):
    def density(self, t):
        return 1.1 * super().density(t)


@dataclass(frozen=True)
class AnotherDensity(Right):
    def density(self, t):
        return 1 - self.slope * (2 * t - 1)


@dataclass(frozen=True)
class EachPartAtOneEnd(Right):
    """The first part of a batch gets its lower half, as if there were two."""

    def sample(self, n, generator, part=(0, 1)):
        u = torch.rand(n, generator=generator)
        return self.quantile(u if part == (0, 1) else u / 2)


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface", "round_trip_through_a_recipe"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    InFloat64: {"samples_are_fractions"},
    BeyondTheEnds: {"samples_are_fractions"},
    GlobalGenerator: {"samples_come_from_the_generator_alone"},
    SameForEveryGenerator: {"samples_come_from_the_generator_alone"},
    LeavesOutTheEnds: {"times_cover_the_interval"},
    DensityOfTheMean: {"density_is_a_number_for_each_time"},
    NotNormalised: {"density_integrates_to_1"},
    AnotherDensity: {"samples_have_the_density"},
    EachPartAtOneEnd: {"parts_of_a_batch_are_drawn_like_the_whole"},
}


def results(cls):
    class Checked(TimeSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right, InfiniteAtBothEnds])
def test_a_right_distribution_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_distribution_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_distribution_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
