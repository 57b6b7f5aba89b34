"""Every check of the coupling suite is failed by a coupling that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import ComponentError, Coupling, Pairing
from fmcore.testing import CouplingSuite, run_suite


@dataclass(frozen=True)
class Right(Coupling):
    """Sorts both sides by their first number; refuses a source that draws from the condition."""

    descending: bool = False

    def check(self, path, data=None):
        if path.noise().conditional:
            raise ComponentError("would part x0 from its condition")

    def pair(self, x0, x1, generator, condition=None):
        first = self.order(x0)
        second = self.order(x1)
        moved = condition and {k: v[second] for k, v in condition.items()}
        return Pairing(x0[first], x1[second], moved)

    def order(self, x):
        return x.flatten(1)[:, 0].argsort(descending=self.descending)

    def cost(self, x0, x1):
        return (x0 - x1).flatten(1)[:, 0].square()


@dataclass(frozen=True)
class Blind(Coupling):
    """A right coupling that shuffles x0, and may call itself independent."""

    independent = True

    def check(self, path, data=None):
        if path.noise().conditional:
            raise ComponentError("would part x0 from its condition")

    def pair(self, x0, x1, generator, condition=None):
        return Pairing(x0[torch.randperm(len(x0), generator=generator)], x1, condition)


@dataclass(frozen=True)
class Unbalanced(Right):
    """Draws rows of both sides with replacement, as from a plan that weighs rows, and says so."""

    marginals = ()

    def pair(self, x0, x1, generator, condition=None):
        paired = super().pair(x0, x1, generator, condition)
        weight = 1 / (1 + self.cost(paired.x0, paired.x1))
        drawn = torch.multinomial(weight, len(x0), True, generator=generator)
        moved = paired.condition and {k: v[drawn] for k, v in paired.condition.items()}
        return Pairing(paired.x0[drawn], paired.x1[drawn], moved)


class Unfrozen(Coupling):
    def __init__(self):
        self.inner = Right()

    def check(self, path, data=None):
        self.inner.check(path, data)

    def pair(self, x0, x1, generator, condition=None):
        return self.inner.pair(x0, x1, generator, condition)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, descending: bool = False, **options: object):
        object.__setattr__(self, "descending", descending)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "descending", not self.descending)


@dataclass(frozen=True)
class EmptyPool(Right):
    @property
    def pool(self):
        return 0


@dataclass(frozen=True)
class WithReplacement(Right):
    """Draws pairs, as from a transport plan: rows are dropped and repeated."""

    def pair(self, x0, x1, generator, condition=None):
        drawn = torch.randint(len(x0), (len(x0),), generator=generator)
        paired = super().pair(x0, x1, generator, condition)
        moved = paired.condition and {k: v[drawn] for k, v in paired.condition.items()}
        return Pairing(paired.x0[drawn], paired.x1[drawn], moved)


@dataclass(frozen=True)
class KeepsAnUnknownSide(Right):
    marginals = ("x0", "x2")


@dataclass(frozen=True)
class KeepsOneSideInWords(Unbalanced):
    marginals = ("x1",)


@dataclass(frozen=True)
class Dearest(Right):
    """Pairs the rows that are farthest apart."""

    def pair(self, x0, x1, generator, condition=None):
        return super().pair(x0.flip(0), x1, generator, condition)

    def order(self, x):
        order = super().order(x)
        return order if x.mean() > 0.5 else order.flip(0)


@dataclass(frozen=True)
class OneCostForAll(Right):
    def cost(self, x0, x1):
        return super().cost(x0, x1).mean()


@dataclass(frozen=True)
class LeavesConditionsBehind(Right):
    def pair(self, x0, x1, generator, condition=None):
        paired = super().pair(x0, x1, generator, condition)
        return Pairing(paired.x0, paired.x1, condition)


@dataclass(frozen=True)
class DropsConditions(Right):
    def pair(self, x0, x1, generator, condition=None):
        paired = super().pair(x0, x1, generator, condition)
        return Pairing(paired.x0, paired.x1)


@dataclass(frozen=True)
class DropsTheDtype(Right):
    def pair(self, x0, x1, generator, condition=None):
        paired = super().pair(x0, x1, generator, condition)
        return Pairing(paired.x0.double(), paired.x1, paired.condition)


@dataclass(frozen=True)
class GlobalGenerator(Blind):
    def pair(self, x0, x1, generator, condition=None):
        torch.rand(())
        return super().pair(x0, x1, generator, condition)


@dataclass(frozen=True)
class Pretends(Right):
    """Looks at the rows, and calls itself independent."""

    independent = True


@dataclass(frozen=True)
class PartsConditions(Right):
    def check(self, path, data=None):
        pass


@dataclass(frozen=True)
class Turns(Coupling):
    """Turns each row of noise, points in R^3, towards its row of data.  Others it leaves alone."""

    symmetry = True

    def check(self, path, data=None):
        if path.noise().conditional:
            raise ComponentError("would part x0 from its condition")

    def pair(self, x0, x1, generator, condition=None):
        return Pairing(self.moved(x0, x1) if x0.shape[-1] == 3 else x0, x1, condition)

    def moved(self, x0, x1):
        u, _, vt = torch.linalg.svd(x1.mT @ x0)
        return x0 @ (u @ vt).mT


@dataclass(frozen=True)
class TurnsToOneDirection(Turns):
    """Turns the first point of each row to the first axis: the density of the noise is the same at
    every moved row, and its distribution is not."""

    def moved(self, x0, x1):
        length = x0[:, :1].norm(dim=-1, keepdim=True)
        axis = torch.eye(3, dtype=x0.dtype)[:1]
        # the reflection that swaps the direction of the point and the axis
        normal = x0[:, :1] / length - axis
        normal = normal / normal.norm(dim=-1, keepdim=True)
        return x0 - 2 * (x0 @ normal.mT) * normal


@dataclass(frozen=True)
class MovesHalfway(Turns):
    """Moves noise towards its data, which is no symmetry of the noise."""

    def moved(self, x0, x1):
        return (x0 + x1) / 2


@dataclass(frozen=True)
class TurnsAndShuffles(Turns):
    """Pairs rows of other places too."""

    def pair(self, x0, x1, generator, condition=None):
        order = torch.randperm(len(x1), generator=generator)
        moved = condition and {k: v[order] for k, v in condition.items()}
        return super().pair(x0[order], x1[order], generator, moved)


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface", "round_trip_through_a_recipe"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    EmptyPool: {"pool_is_a_positive_number"},
    WithReplacement: {"every_row_is_kept_once"},
    KeepsAnUnknownSide: {"every_row_is_kept_once"},
    KeepsOneSideInWords: {"every_row_is_kept_once"},
    Dearest: {"pairs_cost_no_more_than_independent_ones"},
    OneCostForAll: {"pairs_cost_no_more_than_independent_ones"},
    LeavesConditionsBehind: {"conditions_stay_with_their_data"},
    DropsConditions: {"conditions_stay_with_their_data"},
    DropsTheDtype: {"dtypes_are_kept"},
    GlobalGenerator: {"randomness_comes_from_the_generator_alone"},
    Pretends: {"independent_coupling_ignores_the_values"},
    TurnsToOneDirection: {"a_symmetry_keeps_the_distribution_of_noise"},
    MovesHalfway: {"a_symmetry_keeps_the_distribution_of_noise"},
    TurnsAndShuffles: {"a_symmetry_keeps_the_order_of_rows"},
    PartsConditions: {"conditional_noise_keeps_its_condition_or_is_refused"},
}


def results(cls):
    class Checked(CouplingSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right, Blind, Unbalanced, Turns])
def test_a_right_coupling_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_coupling_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_coupling_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
