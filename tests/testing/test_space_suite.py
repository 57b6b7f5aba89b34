"""Every check of the space suite is failed by a space that breaks its law, and by no other check
than those that follow from it."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fmcore import Manifold, create
from fmcore.testing import SpaceSuite, run_suite


@dataclasses.dataclass(frozen=True)
class Right(Manifold):
    """The unit sphere in three dimensions, by the registered one."""

    @property
    def _sphere(self):
        return create("space", "sphere")

    @property
    def point(self):
        return (3,)

    def require(self, x, what):
        self._sphere.require(x, what)

    def project(self, x):
        return self._sphere.project(x)

    def features(self, x):
        return self._sphere.features(x)

    def uniform(self, rows, shape, dtype):
        return self._sphere.uniform(rows, shape, dtype)

    def log_volume(self, shape):
        return self._sphere.log_volume(shape)

    def tangent(self, x, v):
        return self._sphere.tangent(x, v)

    def geodesic(self, x, v, s):
        return self._sphere.geodesic(x, v, s)

    def log(self, x, y):
        return self._sphere.log(x, y)

    def inner(self, x, u, v):
        return self._sphere.inner(x, u, v)


@dataclasses.dataclass(frozen=True)
class TakesNaN(Right):
    def require(self, x, what):
        pass


@dataclasses.dataclass(frozen=True)
class DrawsOfTheBatch(Right):
    def uniform(self, rows, shape, dtype):
        x = super().uniform(rows, shape, dtype)
        return x.flip(0) if len(x) > 2 else x


@dataclasses.dataclass(frozen=True)
class HalfProjected(Right):
    def project(self, x):
        # a second projection moves the point again
        length = x.norm(dim=-1, keepdim=True)
        return x / length.sqrt()


@dataclasses.dataclass(frozen=True)
class Aslant(Right):
    """Projects aslant: points stay, but normals are felt."""

    def project(self, x):
        # moves a value off the sphere sideways, by how far it is off
        off = x.norm(dim=-1, keepdim=True) - 1
        return self._sphere.project(x + off * x.roll(1, -1))


@dataclasses.dataclass(frozen=True)
class SkewTangent(Right):
    def tangent(self, x, v):
        # along the first axis instead of the normal: a projection that is not orthogonal
        first = torch.zeros_like(x)
        first[..., 0] = 1
        return v - (x * v).sum(-1, keepdim=True) / x[..., :1] * first


@dataclasses.dataclass(frozen=True)
class Chord(Right):
    """Goes along the normalized chord, whose speed changes."""

    def geodesic(self, x, v, s):
        end = self._sphere.geodesic(x, v, torch.ones_like(s))[0]
        raw = (1 - s) * x + s * end
        length = raw.norm(dim=-1, keepdim=True)
        point = raw / length
        return point, self.tangent(point, (end - x) / length)


@dataclasses.dataclass(frozen=True)
class ByArccos(Right):
    """The log by acos, whose gradient is NaN at equal points and whose angle is rough nearby."""

    def log(self, x, y):
        cosine = (x * y).sum(-1, keepdim=True).clamp(-1, 1)
        across = y - cosine * x
        return cosine.acos() * across / across.norm(dim=-1, keepdim=True).clamp_min(1e-12)


@dataclasses.dataclass(frozen=True)
class InfiniteAtTheCut(Right):
    def log(self, x, y):
        found = super().log(x, y)
        opposite = ((x * y).sum(-1, keepdim=True) + 1).abs() < 1e-12
        return torch.where(opposite, math.inf, found)


@dataclasses.dataclass(frozen=True)
class WrongVolume(Right):
    def log_volume(self, shape):
        return super().log_volume(shape) + math.log(2)


@dataclasses.dataclass(frozen=True)
class BatchFeatures(Right):
    def features(self, x):
        return x - x.mean(0)


@dataclasses.dataclass(frozen=True)
class Swallows(Right):
    def __init__(self, **options: object):
        pass


OPTIONS = {"test_options_are_closed_and_typed", "test_round_trip_through_a_recipe"}
CASES = {
    TakesNaN: {"test_accepts_its_own_points"},
    DrawsOfTheBatch: {"test_draws_depend_on_their_row_alone"},
    HalfProjected: {"test_projection_gives_points", "test_projection_is_blind_to_normals"},
    Aslant: {"test_projection_is_blind_to_normals"},
    # the directions that it removes are no normals
    SkewTangent: {"test_tangent_is_a_projection", "test_projection_is_blind_to_normals"},
    Chord: {"test_geodesics_have_constant_speed"},
    ByArccos: {"test_log_is_the_inverse_of_exp"},
    InfiniteAtTheCut: {"test_log_is_finite_beyond_the_cut_locus"},
    WrongVolume: {"test_volume_is_that_of_small_balls"},
    BatchFeatures: {"test_features_are_those_of_rows"},
    Swallows: OPTIONS,
}


def failed_by(cls: type) -> set[str]:
    class Suite(SpaceSuite):
        def component(self):
            return cls()

    return {result.name for result in run_suite(Suite) if not result.passed}


def test_a_right_space_passes():
    assert failed_by(Right) == set()


@pytest.mark.parametrize("wrong", CASES, ids=lambda cls: cls.__name__)
def test_a_wrong_space_fails_exactly_the_laws_it_breaks(wrong):
    assert failed_by(wrong) == CASES[wrong]


def test_every_law_of_spaces_is_broken_by_some_case():
    laws = {name for name in dir(SpaceSuite) if name.startswith("test_")}
    shared = {"test_is_a_frozen_dataclass_of_its_interface"}
    assert laws - shared == set().union(*CASES.values())
