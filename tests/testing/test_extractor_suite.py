"""Every check of the extractor suite is failed by an extractor that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import DataError, Extractor
from fmcore.testing import ExtractorSuite, run_suite


@dataclass(frozen=True)
class Right(Extractor):
    """Mean and spread of each colour."""

    scale: float = 255.0

    @property
    def dimensions(self):
        return {"moments": 6}

    @property
    def weights(self):
        return f"none, scale {self.scale}"

    def features(self, images):
        x = images.float().flatten(2) / self.scale
        return {"moments": torch.cat([x.mean(2), x.std(2)], 1)}


@dataclass(frozen=True)
class WithoutWeights(Right):
    def check(self):
        raise DataError("no weights\n  from: somewhere")


class Unfrozen(Extractor):
    def __init__(self):
        self.inner = Right()

    @property
    def dimensions(self):
        return self.inner.dimensions

    @property
    def weights(self):
        return self.inner.weights

    def features(self, images):
        return self.inner.features(images)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, scale: float = 255.0, **options: object):
        object.__setattr__(self, "scale", scale)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "scale", self.scale * 2)


@dataclass(frozen=True)
class OtherDimensions(Right):
    @property
    def dimensions(self):
        return {"moments": 7}


@dataclass(frozen=True)
class BatchStatistics(Right):
    def features(self, images):
        moments = super().features(images)["moments"]
        return {"moments": moments - 0.1 * moments.mean(0)}


@dataclass(frozen=True)
class Dropout(Right):
    def features(self, images):
        moments = super().features(images)["moments"]
        return {"moments": moments + 1e-7 * torch.randn(moments.shape)}


@dataclass(frozen=True)
class WritesIntoImages(Right):
    def features(self, images):
        found = super().features(images)
        images //= 2
        images *= 2
        return found


@dataclass(frozen=True)
class Constant(Right):
    def features(self, images):
        return {"moments": torch.ones(len(images), 6)}


@dataclass(frozen=True)
class NoSuchLayer(Right):
    def layer_for(self, rows):
        return "moments" if rows < 10_000 else "wide"


@dataclass(frozen=True)
class NoWeights(Right):
    @property
    def weights(self):
        return ""


WRONG = {
    Unfrozen: {"is_a_frozen_dataclass_of_its_interface", "round_trip_through_a_recipe"},
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    OtherDimensions: {"features_have_the_declared_dimensions"},
    BatchStatistics: {"features_are_row_by_row"},
    Dropout: {"equal_images_have_equal_features"},
    WritesIntoImages: {"images_are_left_as_they_are"},
    Constant: {"features_differ_between_images"},
    NoSuchLayer: {"a_layer_is_chosen_for_any_number_of_images"},
    NoWeights: {"weights_are_named"},
}


def results(cls):
    class Checked(ExtractorSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


def test_a_right_extractor_passes_every_check():
    assert failures(Right) == {}


def test_without_weights_the_checks_of_features_are_skipped():
    assert {r.message for r in results(WithoutWeights) if r.skipped} == {"no weights"}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_extractor_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_an_extractor_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
