"""Every check of the codec suite is failed by a codec that breaks its law, and by no other check
than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import Codec, ComponentError, Decoded
from fmcore.testing import CodecSuite, run_suite


@dataclass(frozen=True)
class Right(Codec):
    """Halves of the values in latents of twice the channels: exact."""

    factor: float = 2.0

    def shape(self, shape):
        if shape[-1] % 2:
            raise ComponentError("an even width is needed")
        return (2 * shape[0], *shape[1:])

    def encode(self, x1, rows):
        with torch.no_grad():
            return torch.cat([x1, x1], 1) / self.factor

    def decode(self, x, condition=None):
        with torch.no_grad():
            return Decoded(x[:, : x.shape[1] // 2] * self.factor)


@dataclass(frozen=True)
class Noisy(Right):
    """Adds noise of each row, within the tolerance."""

    def encode(self, x1, rows):
        z = super().encode(x1, rows)
        return z + 0.01 * rows.normal(z.shape[1:])


@dataclass(frozen=True)
class OnlyDecodes(Codec):
    """Sounds of twice as many values."""

    encodes = False

    def decode(self, x, condition=None):
        return Decoded(x.flatten(1).repeat(1, 2), 8000, torch.full((len(x),), 7))


class Unfrozen(Codec):
    def __init__(self):
        self.inner = Right()

    @property
    def fingerprint(self):
        return self.inner.fingerprint

    def shape(self, shape):
        return self.inner.shape(shape)

    def encode(self, x1, rows):
        return self.inner.encode(x1, rows)

    def decode(self, x, condition=None):
        return self.inner.decode(x)


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, factor: float = 2.0, **options: object):
        object.__setattr__(self, "factor", factor)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "factor", self.factor * 2)


@dataclass(frozen=True)
class DeclaresAnotherShape(Right):
    def shape(self, shape):
        return (3 * super().shape(shape)[0], *shape[1:])


@dataclass(frozen=True)
class KeepsTheGradient(Right):
    def encode(self, x1, rows):
        return torch.cat([x1, x1], 1) / self.factor


@dataclass(frozen=True)
class DecodesToDoubles(Right):
    def decode(self, x, condition=None):
        return Decoded(super().decode(x).values.double())


@dataclass(frozen=True)
class LosesThePicture(Right):
    def decode(self, x, condition=None):
        return Decoded(0.0 * super().decode(x).values)


@dataclass(frozen=True)
class BatchStatistics(Right):
    """Centres the latents over the batch."""

    def encode(self, x1, rows):
        z = super().encode(x1, rows)
        return z - 0.01 * z.mean(0)


@dataclass(frozen=True)
class DecodesWithTheBatch(Right):
    def decode(self, x, condition=None):
        return super().decode(x + 0.01 * x.mean(0))


@dataclass(frozen=True)
class GlobalNoise(Right):
    def encode(self, x1, rows):
        z = super().encode(x1, rows)
        return z + 1e-7 * torch.randn(z.shape)


@dataclass(frozen=True)
class WritesIntoStates(Right):
    def decode(self, x, condition=None):
        values = super().decode(x.clone())
        x.mul_(1.0).add_(1e-3)
        return values


@dataclass(frozen=True)
class TakesAnyWidth(Right):
    """Declares a shape for widths that it rounds down."""

    def shape(self, shape):
        return (2 * shape[0], *shape[1:])

    def encode(self, x1, rows):
        return super().encode(x1[..., : x1.shape[-1] // 2 * 2], rows)


class Counter:
    made = 0


@dataclass(frozen=True)
class AnotherFingerprint(Right):
    @property
    def fingerprint(self):
        Counter.made += 1
        return str(Counter.made)


WRONG = {
    Unfrozen: {
        "is_a_frozen_dataclass_of_its_interface",
        "round_trip_through_a_recipe",
    },
    Swallows: {"options_are_closed_and_typed", "round_trip_through_a_recipe"},
    KeepsAnother: {"round_trip_through_a_recipe"},
    DeclaresAnotherShape: {"latents_have_the_declared_shape"},
    KeepsTheGradient: {"latents_have_the_declared_shape"},
    DecodesToDoubles: {"decoding_returns_examples"},
    LosesThePicture: {"reconstructs_within_its_tolerance"},
    BatchStatistics: {"encoding_is_row_by_row"},
    DecodesWithTheBatch: {"decoding_is_row_by_row"},
    GlobalNoise: {"equal_rows_give_equal_latents"},
    WritesIntoStates: {"arguments_are_left_as_they_are"},
    TakesAnyWidth: {"another_shape_is_refused_or_encoded"},
    AnotherFingerprint: {"fingerprint_is_that_of_the_codec"},
}


def results(cls):
    class Checked(CodecSuite):
        def component(self):
            return cls()

    return run_suite(Checked)


def failures(cls):
    return {r.name.removeprefix("test_"): r.message for r in results(cls) if not r.passed}


@pytest.mark.parametrize("cls", [Right, Noisy, OnlyDecodes])
def test_a_right_codec_passes_every_check(cls):
    assert failures(cls) == {}


def test_a_codec_that_only_decodes_skips_the_tolerance():
    assert {r.message for r in results(OnlyDecodes) if r.skipped} == {"the codec only decodes"}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_codec_fails_the_checks_of_its_law_and_no_other(cls):
    found = failures(cls)
    assert set(found) == WRONG[cls], found


def test_every_check_has_a_codec_that_fails_it():
    assert set().union(*WRONG.values()) == {r.name.removeprefix("test_") for r in results(Right)}
