"""Every check of the optimizer suite is failed by an optimizer that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import OptimizerFactory
from fmcore.testing import OptimizerSuite, run_suite


class Momentum(torch.optim.Optimizer):
    """w <- w - lr m with m <- decay m + g, with what breaks a law as arguments."""

    def __init__(self, params, decay=0.5, **broken):
        super().__init__(params, {"lr": 1.0, "decay": decay})
        self.broken, self.built_with, self.outside = broken, {}, {}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.update(p, group)

    def update(self, p, group):
        kept = self.outside if self.broken.get("outside") else self.state
        state = kept.setdefault(p, {})
        state["count"] = state.get("count", 0) + 1
        state["m"] = group["decay"] * state.get("m", torch.zeros_like(p)) + p.grad
        if self.broken.get("history"):
            state["history"] = {"last": p.grad}
        if self.broken.get("noise"):
            torch.rand(())
        lr = 0.01 if self.broken.get("own_lr") else group["lr"]
        # a rate that falls with the count: a number that a resume must restore
        p.sub_(state["m"], alpha=self.broken.get("sign", 1) * lr / state["count"] ** 0.1)


@dataclass(frozen=True)
class Right(OptimizerFactory):
    """As it should be: with a tensor and a number as state."""

    decay: float = 0.5

    def build(self, named_parameters):
        return [Momentum([p for _, p in named_parameters], self.decay)]


class Unfrozen(OptimizerFactory):
    def build(self, named_parameters):
        return [Momentum([p for _, p in named_parameters])]

    def __eq__(self, other):
        return isinstance(other, Unfrozen)

    __hash__ = None


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, decay: float = 0.5, **options: object):
        object.__setattr__(self, "decay", decay)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "decay", self.decay / 2)


@dataclass(frozen=True)
class HoldsTheHeadTwice(Right):
    def build(self, named_parameters):
        named = list(named_parameters)
        return [*super().build(named), Momentum([named[-1][1]])]


@dataclass(frozen=True)
class AbsoluteRates(Right):
    def build(self, named_parameters):
        made = super().build(named_parameters)
        made[0].param_groups[0]["lr"] = 0.1
        return made


@dataclass(frozen=True)
class Broken(Right):
    broken = ""

    def build(self, named_parameters):
        return [Momentum([p for _, p in named_parameters], self.decay, **{self.broken: True})]


@dataclass(frozen=True)
class IgnoresTheRate(Broken):
    broken = "own_lr"


@dataclass(frozen=True)
class Ascends(Right):
    def build(self, named_parameters):
        return [Momentum([p for _, p in named_parameters], self.decay, sign=-1)]


@dataclass(frozen=True)
class KeepsItsStateOutside(Broken):
    broken = "outside"


@dataclass(frozen=True)
class CannotBeSaved(Broken):
    broken = "history"


@dataclass(frozen=True)
class GlobalGenerator(Broken):
    broken = "noise"


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    HoldsTheHeadTwice: {"every_parameter_is_in_exactly_one_group"},
    AbsoluteRates: {"learning_rates_are_relative"},
    IgnoresTheRate: {"a_step_with_lr_0_changes_nothing"},
    Ascends: {"steps_lower_a_convex_function"},
    KeepsItsStateOutside: {"a_resumed_training_has_the_same_bits"},
    # what cannot be saved cannot be restored either
    CannotBeSaved: {"its_state_can_be_saved", "a_resumed_training_has_the_same_bits"},
    GlobalGenerator: {"steps_use_no_global_generator"},
}


def results(cls):
    class Checked(OptimizerSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right])
def test_a_right_optimizer_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_optimizer_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_optimizer_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
