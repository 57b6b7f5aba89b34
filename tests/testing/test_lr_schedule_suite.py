"""Every check of the suite of learning-rate schedules is failed by a schedule that breaks its law,
and by no other check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from fmcore import LearningRate
from fmcore.testing import LearningRateSuite, run_suite


@dataclass(frozen=True)
class Right(LearningRate):
    """Falls linearly to `end`, as it should."""

    end: float = 0.1

    def factor(self, step, steps):
        return 1 - (1 - self.end) * step / steps


class Unfrozen(LearningRate):
    def factor(self, step, steps):
        return 1.0

    def __eq__(self, other):
        return isinstance(other, Unfrozen)

    __hash__ = None


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, end: float = 0.1, **options: object):
        object.__setattr__(self, "end", end)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "end", self.end / 2)


@dataclass(frozen=True)
class DividesByTheStepsLeft(Right):
    """Without a number in a training of one step."""

    def factor(self, step, steps):
        return 1 - step / (steps - 1) if steps > 1 else float("nan")


@dataclass(frozen=True)
class FallsBelow0(Right):
    def factor(self, step, steps):
        return 1 - 1.01 * (step + 1) / steps


@dataclass(frozen=True)
class CountsItsCalls(Right):
    calls: list[int] = field(default_factory=list, init=False, compare=False)

    def factor(self, step, steps):
        self.calls.append(step)
        return 1 / len(self.calls)


@dataclass(frozen=True)
class GlobalGenerator(Right):
    def factor(self, step, steps):
        torch.rand(())
        return super().factor(step, steps)


@dataclass(frozen=True)
class Absolute(Right):
    """A learning rate, and not a factor of one."""

    def factor(self, step, steps):
        return 1e-3 * super().factor(step, steps)


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    DividesByTheStepsLeft: {"factors_are_finite_and_not_negative"},
    FallsBelow0: {"factors_are_finite_and_not_negative"},
    CountsItsCalls: {"factors_depend_on_step_and_steps_alone"},
    GlobalGenerator: {"factors_depend_on_step_and_steps_alone"},
    Absolute: {"the_largest_factor_is_1"},
}


def results(cls):
    class Checked(LearningRateSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right])
def test_a_right_schedule_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_schedule_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_schedule_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
