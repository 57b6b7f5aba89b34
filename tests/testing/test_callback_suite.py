"""Every check of the callback suite is failed by a callback that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from fmcore import Callback
from fmcore.testing import CallbackSuite, run_suite


@dataclass(frozen=True)
class Right(Callback):
    """Norms and losses, as they should be."""

    scale: float = 2.0

    def after_backward(self, view):
        return {n: self.scale * g.norm() for n, g in view.gradients.items()}

    def after_step(self, view):
        return {"loss": view.loss(), "average": float(view.loss(view.average))}


class Unfrozen(Callback):
    every: int = 10

    def __init__(self):
        pass

    def after_step(self, view):
        return {"loss": view.loss()}

    def __eq__(self, other):
        return isinstance(other, Unfrozen)

    __hash__ = None


# a class without fields of its own is a dataclass through its base
Unfrozen.__dataclass_params__ = None


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, scale: float = 2.0, every: int = 10, **options: object):
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "every", every)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "scale", self.scale / 2)


@dataclass(frozen=True)
class OftenerThanPossible(Right):
    every: float = 1.5

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class GivesAVector(Right):
    def after_step(self, view):
        return {"weights": next(iter(view.weights.values()))}


@dataclass(frozen=True)
class GivesNothing(Callback):
    pass


@dataclass(frozen=True)
class GivesNaN(Right):
    def after_step(self, view):
        return {"loss": view.loss() * float("nan")}


@dataclass(frozen=True)
class NamesTheStep(Right):
    def after_step(self, view):
        return {f"loss_{view.step}": view.loss()}


@dataclass(frozen=True)
class CountsItsCalls(Right):
    calls: list[int] = field(default_factory=list, init=False, compare=False)

    def after_step(self, view):
        self.calls.append(view.step)
        return {"loss": view.loss() * len(self.calls)}


@dataclass(frozen=True)
class ClipsTheGradients(Right):
    def after_backward(self, view):
        for gradient in view.gradients.values():
            gradient.mul_(0.5)
        return {}


@dataclass(frozen=True)
class DecaysTheWeightsThroughData(Right):
    def after_step(self, view):
        for weight in view.weights.values():
            weight.data.mul_(0.99)
        return {}


@dataclass(frozen=True)
class GlobalGenerator(Right):
    def after_step(self, view):
        torch.rand(())
        return super().after_step(view)


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    OftenerThanPossible: {"every_is_a_positive_number"},
    GivesAVector: {"gives_finite_numbers_by_name"},
    GivesNothing: {"gives_finite_numbers_by_name"},
    GivesNaN: {"gives_finite_numbers_by_name"},
    NamesTheStep: {"gives_the_same_names_at_every_call"},
    CountsItsCalls: {"keeps_no_state"},
    ClipsTheGradients: {"changes_nothing"},
    DecaysTheWeightsThroughData: {"changes_nothing"},
    GlobalGenerator: {"uses_no_global_generator"},
}


def results(cls):
    class Checked(CallbackSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right])
def test_a_right_callback_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_callback_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_callback_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
