"""Every check of the objective suite is failed by an objective that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import ComponentError, Objective, Regression, append_dims
from fmcore.interfaces.time_sampling import stratified_times
from fmcore.testing import ObjectiveSuite, run_suite


@dataclass(frozen=True)
class Right(Regression):
    """Regresses the noise, weighted by 1 + power t, at stratified times."""

    power: float = 1.0
    prediction = "noise"

    def weight(self, path, t):
        return 1 + self.power * t

    def sample_time(self, n, generator, part=(0, 1)):
        return stratified_times(n, generator, part)


@dataclass(frozen=True)
class RightScore(Right):
    prediction = "score"


class Unfrozen(Regression):
    prediction = "noise"

    def weight(self, path, t):
        return 1 + t

    def sample_time(self, n, generator, part=(0, 1)):
        return stratified_times(n, generator, part)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, power: float = 1.0, **options: object):
        object.__setattr__(self, "power", power)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "power", self.power / 2)


@dataclass(frozen=True)
class PredictsNonsense(Right):
    prediction = "epsilon"

    def target(self, path, sample):
        return sample.x0


@dataclass(frozen=True)
class RefusesEveryPath(Right):
    def check(self, path):
        raise ComponentError("not this one")


@dataclass(frozen=True)
class TimesPastTheEnd(Right):
    def sample_time(self, n, generator, part=(0, 1)):
        return super().sample_time(n, generator, part) * 1.01


@dataclass(frozen=True)
class DoubleTimes(Right):
    def sample_time(self, n, generator, part=(0, 1)):
        return super().sample_time(n, generator, part).double()


@dataclass(frozen=True)
class GlobalTimes(Right):
    def sample_time(self, n, generator, part=(0, 1)):
        torch.rand(())
        return super().sample_time(n, generator, part)


@dataclass(frozen=True)
class SameTimes(Right):
    def sample_time(self, n, generator, part=(0, 1)):
        return super().sample_time(n, torch.Generator().manual_seed(0), part)


@dataclass(frozen=True)
class StretchOfItsOwn(Right):
    """Every part draws from the first stretch of the interval, as if it were the first."""

    def sample_time(self, n, generator, part=(0, 1)):
        return torch.rand(n, generator=generator) / part[1]


@dataclass(frozen=True)
class NegativeWeight(Right):
    def weight(self, path, t):
        return t - 0.1


@dataclass(frozen=True)
class ScalarWeight(Right):
    def weight(self, path, t):
        return torch.ones((), dtype=t.dtype)


@dataclass(frozen=True)
class NormalisedWeight(Right):
    """Divides by the mean over the batch."""

    def weight(self, path, t):
        weight = super().weight(path, t)
        return weight / weight.mean()


@dataclass(frozen=True)
class NegativeScore(RightScore):
    """The score as eq. 42 prints it: with the wrong sign."""

    def target(self, path, sample):
        return -super().target(path, sample)


@dataclass(frozen=True)
class SumsInsteadOfMean(Right):
    def loss(self, path, sample, prediction, condition=None):
        return super().loss(path, sample, prediction, condition) * prediction[0].numel()


@dataclass(frozen=True)
class IgnoresTheMask(Right):
    def loss(self, path, sample, prediction, condition=None):
        return super().loss(path, sample, prediction)


@dataclass(frozen=True)
class OnlyLateTimes(Right):
    def sample_time(self, n, generator, part=(0, 1)):
        return 0.5 + 0.5 * super().sample_time(n, generator, part)


@dataclass(frozen=True)
class NoWeightOnHalf(Right):
    def weight(self, path, t):
        return (t > 0.5).to(t.dtype)


@dataclass(frozen=True)
class SteepWeight(Right):
    def weight(self, path, t):
        return path.coefficients(t).alpha ** -8


@dataclass(frozen=True)
class RightFlowMap(Objective):
    """MeanFlow as its paper writes it, on fmcore's time."""

    spans = True
    times = ("t", "until")
    loss_names = ("map",)
    prediction = "average_velocity"
    sign = 1.0
    least = 0.0

    def draw(self, n, generator, part=(0, 1)):
        first, second = torch.rand(2, n, generator=generator)
        return {"t": torch.minimum(first, second), "until": torch.maximum(first, second)}

    def losses(self, net, path, batch):
        t, until = batch.draws["t"], batch.draws["until"]
        at = batch.at(t)
        rows = until > t + self.least
        u, slope = net.jvp(at.xt, t, until, dx=at.ut, dt=torch.ones_like(t), rows=rows)
        target = at.ut + self.sign * append_dims(until - t, slope) * slope
        return {"map": self.mean((u - target).square(), batch)}

    def mean(self, error, batch):
        return batch.mean(error)


@dataclass(frozen=True)
class LeadsBackwards(RightFlowMap):
    """The sign of the derivative's term as on the paper's reversed time."""

    sign = -1.0


@dataclass(frozen=True)
class UsesRowsThatItLeavesOut(RightFlowMap):
    """Leaves out rows with times close together, and multiplies their derivative all the same."""

    least = 0.2


@dataclass(frozen=True)
class AveragesOverThePaddedLength(RightFlowMap):
    def mean(self, error, batch):
        mask = (batch.condition or {}).get("mask", torch.ones_like(error))
        return (error * mask).flatten(1).mean(1)


@dataclass(frozen=True)
class OtherNames(RightFlowMap):
    loss_names = ("map", "auxiliary")


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface", "round_trip_through_a_recipe"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    PredictsNonsense: {"predicts_a_known_quantity"},
    RefusesEveryPath: {"accepts_its_path"},
    TimesPastTheEnd: {"times_are_fractions"},
    DoubleTimes: {"times_are_fractions"},
    GlobalTimes: {"times_come_from_the_generator_alone"},
    SameTimes: {"times_come_from_the_generator_alone"},
    StretchOfItsOwn: {"parts_of_a_batch_are_drawn_like_the_whole"},
    NegativeWeight: {"weights_are_finite_and_not_negative"},
    ScalarWeight: {
        "weights_are_finite_and_not_negative",
        "weights_of_rows_are_independent",
        "weights_use_the_draws",
        "losses_are_those_declared",
        "losses_of_rows_are_independent",
        "losses_do_not_count_padding",
        "loss_is_the_weighted_mean_square_of_each_row",
    },
    NormalisedWeight: {"weights_of_rows_are_independent", "losses_of_rows_are_independent"},
    NegativeScore: {"target_is_what_was_drawn"},
    SumsInsteadOfMean: {
        "loss_is_the_weighted_mean_square_of_each_row",
        "losses_do_not_count_padding",
    },
    IgnoresTheMask: {
        "loss_is_the_weighted_mean_square_of_each_row",
        "losses_do_not_count_padding",
    },
    AveragesOverThePaddedLength: {"losses_do_not_count_padding"},
    OnlyLateTimes: {"times_cover_the_interval"},
    NoWeightOnHalf: {"weights_use_the_draws"},
    SteepWeight: {"weights_use_the_draws"},
    OtherNames: {"losses_are_those_declared"},
    LeadsBackwards: {"flow_maps_have_no_loss_at_the_exact_map"},
    UsesRowsThatItLeavesOut: {"flow_maps_have_no_loss_at_the_exact_map"},
}


def results(cls):
    class Checked(ObjectiveSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right, RightScore, RightFlowMap])
def test_a_right_objective_passes_every_check(cls):
    assert failures(cls) == {}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_objective_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_an_objective_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
