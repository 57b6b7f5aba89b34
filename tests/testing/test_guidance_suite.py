"""Every check of the guidance suite is failed by a guidance that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from fmcore import ConditionSpec, Guidance, Guided, append_dims, branches, without
from fmcore.testing import GuidanceSuite, run_suite


@dataclass(frozen=True)
class Right(Guidance):
    """Classifier-free guidance, for every quantity."""

    quantity: ClassVar = None

    scale: float = 2.0
    drop: tuple[str, ...] = ("label",)

    def prepare(self, field, raw):
        weak = field.prepare(without(raw, self.drop))
        return branches(strong=field.prepare(raw), weak=weak)

    def guide(self, call):
        strong, weak = call.predict(), call.predict("weak")
        return weak + self.scale * (strong - weak)


class WrongNeutral(Right):
    """The paper's w, of which 0 is neutral, but declares 1."""

    def guide(self, call):
        strong, weak = call.predict(), call.predict("weak")
        return strong + self.scale * (strong - weak)


class Idle(Right):
    """Does nothing."""

    def guide(self, call):
        call.predict("weak")
        return call.predict()


class Everywhere(Right):
    """Forgets the interval."""

    def wrap(self, field):
        return Guided(field, replace(self, interval=(0.0, 1.0)))


class Centred(Right):
    """Takes the difference from its mean over the batch."""

    quantity: ClassVar = "velocity"

    def guide(self, call):
        difference = call.predict() - call.predict("weak")
        return call.predict() + (self.scale - 1) * (difference - difference.mean(0))


class Captured(Right):
    """Keeps the whole condition, and not the rows of a call."""

    quantity: ClassVar = "velocity"

    kept: ClassVar[dict] = {}

    def prepare(self, field, raw):
        self.kept.update(raw or {})
        return super().prepare(field, raw)

    def guide(self, call):
        sign = append_dims(self.kept["label"][: len(call.x)] - 1, call.x).to(call.x)
        return super().guide(call) * (1 + (self.scale - 1) * sign)


class Uncounted(Right):
    """Evaluates the field and sets its counter back."""

    def guide(self, call):
        field = call.guided.strong
        while isinstance(field, Guided):
            field = field.strong
        before = field.forwards
        weak = call.predict("weak")
        field.forwards = before
        return weak + self.scale * (call.predict() - weak)


class Consumed(Right):
    """Drops the label of the prepared condition, where the network no longer finds it."""

    def prepare(self, field, raw):
        strong = dict(field.prepare(without(raw, self.drop)))
        return branches(strong=strong, weak=strong)


@dataclass(frozen=True)
class OneQuantity(Right):
    """A rule of one quantity that is used for all."""

    def guide(self, call):
        return super().guide(call) + (self.scale - 1) * 0.1


@dataclass(frozen=True)
class Unread(Right):
    """Reads a measurement, and goes on without it."""

    @property
    def reads(self):
        return frozenset({"measurement"})

    def entries(self, shape):
        return {"measurement": ConditionSpec(shape)}


@dataclass(frozen=True)
class Named(Right):
    """Guidance away from one class, given by its name or number."""

    away: str | int = "the second class"

    def with_classes(self, data):
        return replace(self, away=data.class_number(self.away))


class ChangesItsScale(Named):
    """Changes an option that is no name of a class."""

    def with_classes(self, data):
        return replace(super().with_classes(data), scale=1.5)


class KeepsTheName(Named):
    """Leaves the name of the class as it is."""

    def with_classes(self, data):
        data.class_number(self.away)
        return self


class ShiftsNumbers(Named):
    """Counts classes from 1."""

    def with_classes(self, data):
        return replace(self, away=1 + data.class_number(self.away))


class AcceptsAnyName(Named):
    """Uses class 0 for a name that is no class."""

    def with_classes(self, data):
        known = not isinstance(self.away, str) or self.away in data.class_names
        return super().with_classes(data) if known else replace(self, away=0)


class BecomesAnother(Named):
    """Returns a guidance of another type."""

    def with_classes(self, data):
        return Right(scale=self.scale)


class Noisy(Right):
    """Draws from the global generator."""

    def guide(self, call):
        torch.rand(())
        return super().guide(call)


class Double(Right):
    """Always in float64."""

    def guide(self, call):
        return super().guide(call).double()


class Mutable(Right):
    """Not a frozen dataclass."""

    __dataclass_params__ = None


@dataclass(frozen=True)
class Renamed(Right):
    """Keeps an option in another form, so that a recipe cannot rebuild it."""

    gain: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "gain", self.gain + 1)


def failed(guidance) -> set[str]:
    class Tested(GuidanceSuite):
        def component(self):
            return guidance

    return {result.name for result in run_suite(Tested) if not result.passed}


@pytest.mark.parametrize("guidance", [Right(), Named(), Named(away=2)])
def test_a_right_guidance_passes(guidance):
    assert failed(guidance) == set()


@pytest.mark.parametrize(
    ("guidance", "checks"),
    [
        (WrongNeutral(), {"test_neutral_options_are_no_guidance"}),
        (Idle(), {"test_other_options_change_the_field"}),
        (Everywhere(), {"test_outside_the_interval_is_no_guidance"}),
        (Centred(), {"test_rows_may_come_in_any_order"}),
        (Captured(), {"test_rows_may_come_in_any_order"}),
        (Uncounted(), {"test_counters_are_right_in_any_nesting"}),
        # without a label, both branches are the null branch, outside the interval too
        (
            Consumed(),
            {"test_neutral_options_are_no_guidance", "test_outside_the_interval_is_no_guidance"},
        ),
        (OneQuantity(), {"test_every_quantity_is_guided_alike"}),
        (Unread(), {"test_a_missing_entry_is_refused"}),
        (ChangesItsScale(), {"test_names_of_classes_become_numbers"}),
        (KeepsTheName(), {"test_names_of_classes_become_numbers"}),
        (ShiftsNumbers(), {"test_names_of_classes_become_numbers"}),
        (AcceptsAnyName(), {"test_names_of_classes_become_numbers"}),
        (BecomesAnother(), {"test_names_of_classes_become_numbers"}),
        (Noisy(), {"test_it_is_a_function_of_its_arguments"}),
        (Double(), {"test_dtypes_are_kept"}),
        (Mutable(), {"test_is_a_frozen_dataclass_of_its_interface"}),
        (Renamed(), {"test_round_trip_through_a_recipe"}),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_wrong_guidance_fails_the_check_of_its_law(guidance, checks):
    assert failed(guidance) == checks
