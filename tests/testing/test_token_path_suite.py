"""Every check of the suite of token paths is failed by a path that breaks its law."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
import torch

from fmcore import KappaPath, PathSample, Space, Tokens, create
from fmcore.testing import TokenPathSuite, run_suite, suite_of


class TestMixture(TokenPathSuite):
    def component(self):
        return create("path", "mixture", schedule="cosine")


class TestUniformMixture(TokenPathSuite):
    def component(self):
        return create("path", "mixture", source="uniform")


@dataclasses.dataclass(frozen=True)
class Right(KappaPath):
    """A right path, by the registered one."""

    leaps: ClassVar[bool] = True
    space: Space = Tokens(5, mask=True)  # noqa: RUF009

    def on(self, space):
        return self

    @property
    def own(self):
        return create("path", "mixture").on(self.space)

    def kappa(self, t):
        return self.own.kappa(t)

    def bridge(self):
        return self.own.bridge()

    def noise(self):
        return self.own.noise()

    def prior(self):
        return self.own.prior()

    def sample(self, x0, x1, t, z=None):
        return self.own.sample(x0, x1, t, z)


@dataclasses.dataclass(frozen=True)
class Backwards(Right):
    def sample(self, x0, x1, t, z=None):
        return super().sample(x1, x0, t, z)


@dataclasses.dataclass(frozen=True)
class OfAnotherSchedule(Right):
    def kappa(self, t):
        return t.square(), 2 * t


@dataclasses.dataclass(frozen=True)
class NewTimesOfJumps(Right):
    """Its z changes with t, so that tokens jump back and forth."""

    def sample(self, x0, x1, t, z=None):
        moved = torch.remainder(z + 37.7 * t[:, None], 1)
        inner = (t > 0) & (t < 1)
        return super().sample(x0, x1, t, torch.where(inner[:, None], moved, z))


@dataclasses.dataclass(frozen=True)
class OfTheBatch(Right):
    def sample(self, x0, x1, t, z=None):
        return super().sample(x0, x1, t, z.flip(0) if 8 < len(z) < 64 else z)


@dataclasses.dataclass(frozen=True)
class Moving(Right):
    def sample(self, x0, x1, t, z=None):
        found = super().sample(x0, x1, t, z)
        return PathSample(found.x0, found.x1, found.t, found.xt, (x1 - x0).to(found.xt.dtype))


CASES = {
    Backwards: {
        "test_goes_from_noise_to_data",
        "test_share_of_the_data_is_kappa",
        "test_each_token_jumps_once",
    },
    OfAnotherSchedule: {"test_share_of_the_data_is_kappa"},
    NewTimesOfJumps: {"test_each_token_jumps_once"},
    OfTheBatch: {"test_rows_are_independent"},
    Moving: {"test_tokens_have_no_velocity"},
}


def failed_by(cls: type) -> set[str]:
    class Suite(TokenPathSuite):
        def component(self):
            return cls()

    return {result.name for result in run_suite(Suite) if not result.passed}


def test_a_right_path_passes():
    assert suite_of("path", Right) is TokenPathSuite
    assert failed_by(Right) == set()


@pytest.mark.parametrize("wrong", CASES, ids=lambda cls: cls.__name__)
def test_a_wrong_path_fails_exactly_the_laws_it_breaks(wrong):
    assert failed_by(wrong) == CASES[wrong]
