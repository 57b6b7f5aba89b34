"""Every check of the source suite is failed by a source that breaks its law, and by no other check
than those that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from fmcore import ComponentError, Rows, Source
from fmcore.testing import SourceSuite, run_suite


@dataclass(frozen=True)
class Right(Source):
    """N(1, spread^2), as it should be."""

    spread: float = 0.7

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return 1 + self.spread * rows.normal(shape, dtype)

    def log_prob(self, x, condition=None):
        z = (x - 1).flatten(1) / self.spread
        return -0.5 * z.square().sum(1) - z.shape[1] * math.log(self.spread * math.tau**0.5)


@dataclass(frozen=True)
class WithoutDensity(Right):
    """A right source that is drawn from and no more."""

    def log_prob(self, x, condition=None):
        raise ComponentError("no density")


class Unfrozen(Source):
    def __init__(self):
        self.inner = Right()

    def sample(self, *given, **named):
        return self.inner.sample(*given, **named)

    def log_prob(self, x, condition=None):
        return self.inner.log_prob(x)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, spread: float = 0.7, **options: object):
        object.__setattr__(self, "spread", spread)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "spread", self.spread / 2)


@dataclass(frozen=True)
class DropsTheDtype(Right):
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return super().sample(rows, shape, condition, torch.float32)


@dataclass(frozen=True)
class GlobalGenerator(Right):
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        torch.rand(())
        return super().sample(rows, shape, condition, dtype)


@dataclass(frozen=True)
class SameForEverySeed(Right):
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return super().sample(Rows(0, "own", 0, rows.numbers), shape, condition, dtype)


@dataclass(frozen=True)
class DrawsEveryRowTwice(Right):
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        rows.numbers = rows.numbers // 2
        return super().sample(rows, shape, condition, dtype)


@dataclass(frozen=True)
class Centred(Right):
    """Takes the mean of the batch away from its rows."""

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        x = super().sample(rows, shape, condition, dtype)
        return x - 1e-3 * x.mean(0)


@dataclass(frozen=True)
class SinglePrecision(Right):
    def log_prob(self, x, condition=None):
        return super().log_prob(x.float()).to(x.dtype)


@dataclass(frozen=True)
class Uniform(Source):
    """A right source whose density ends at an edge."""

    width: float = 2.0

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return self.width * rows.uniform(shape, dtype)

    def log_prob(self, x, condition=None):
        flat = x.flatten(1)
        inside = ((flat >= 0) & (flat <= self.width)).all(1)
        height = flat.new_full((len(flat),), -flat.shape[1] * math.log(self.width))
        return height.masked_fill(~inside, -torch.inf)


@dataclass(frozen=True)
class Peaked(Uniform):
    """Draws from the middle more often than its density has it."""

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        first, second = (super(Peaked, self).sample(rows, shape, None, dtype) for _ in range(2))
        return (first + second) / 2


@dataclass(frozen=True)
class OneNumberABatch(Right):
    """Gives each row the mean of the batch."""

    def log_prob(self, x, condition=None):
        own = super().log_prob(x)
        return own + 1e-3 * (own.mean() - own)


@dataclass(frozen=True)
class ForgetsTheVolume(Right):
    def log_prob(self, x, condition=None):
        return -0.5 * ((x - 1).flatten(1) / self.spread).square().sum(1)


@dataclass(frozen=True)
class AnotherSpread(Right):
    """Draws at a temperature that the density does not know."""

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return 1 + (super().sample(rows, shape, condition, dtype) - 1) * 0.8


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface", "round_trip_through_a_recipe"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    DropsTheDtype: {"draws_have_the_shape_and_dtype_asked_for", "log_prob_is_one_number_a_row"},
    GlobalGenerator: {"draws_come_from_the_rows_alone"},
    SameForEverySeed: {"draws_come_from_the_rows_alone"},
    Centred: {"row_i_depends_on_its_own_numbers_alone"},
    SinglePrecision: {"density_has_the_precision_of_x"},
    Peaked: {"draws_follow_the_density"},
    DrawsEveryRowTwice: {"rows_are_independent_draws"},
    OneNumberABatch: {"log_prob_is_one_number_a_row"},
    ForgetsTheVolume: {"density_integrates_to_one"},
    AnotherSpread: {"draws_follow_the_density"},
}


def results(cls):
    class Checked(SourceSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right, WithoutDensity, Uniform])
def test_a_right_source_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_source_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_source_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}


@dataclass(frozen=True)
class Conditional(Right):
    conditional = True


def test_a_source_that_needs_a_condition_says_what_to_override():
    skipped = {r.message for r in results(Conditional) if r.skipped}
    assert skipped == {"Conditional draws from a condition: override condition()"}


def test_a_source_without_density_skips_its_checks_with_the_reason():
    skipped = {r.message for r in results(WithoutDensity) if r.skipped}
    assert skipped == {"no density"}


def test_a_source_that_takes_a_generator_is_refused_where_it_is_defined():
    with pytest.raises(ComponentError, match=r"source Old: .* sample\(self, rows, shape, cond"):

        class Old(Source):
            def sample(self, n, shape, generator, condition=None, dtype=torch.float32):
                return torch.zeros(n, *shape)
