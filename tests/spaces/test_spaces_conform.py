"""Every registered space passes the space suite; the sources of spaces are points of them."""

from __future__ import annotations

import math

import pytest
import torch

from fmcore import ComponentError, Rows, create
from fmcore.testing import SpaceSuite


class TestEuclidean(SpaceSuite):
    def component(self):
        return create("space", "euclidean")


class TestTorus(SpaceSuite):
    shape = (2,)

    def component(self):
        return create("space", "torus")

    reach = math.pi


class TestSphere(SpaceSuite):
    def component(self):
        return create("space", "sphere")


class TestSphereOfThreeDimensions(SpaceSuite):
    shape = (4,)

    def component(self):
        return create("space", "sphere", dimension=3)


class TestSO3(SpaceSuite):
    shape = (3, 3)

    def component(self):
        return create("space", "so3")


class TestTokens(SpaceSuite):
    shape = (5,)

    def component(self):
        return create("space", "tokens", classes=6, mask=True)


class TestProduct(SpaceSuite):
    shape = (16,)

    def component(self):
        parts = {
            "angle": {"name": "torus"},
            "turn": {"name": "so3"},
            "letter": {"name": "tokens", "classes": 5},
        }
        return create(
            "space",
            "product",
            parts=parts,
            shapes={"angle": (3,), "turn": (3, 3), "letter": (4,)},
        )


@pytest.mark.parametrize(
    ("name", "shape"), [("torus", (2,)), ("sphere", (3,)), ("sphere", (2, 3)), ("so3", (3, 3))]
)
def test_the_density_of_a_wrapped_normal_integrates_to_one(name, shape):
    space = create("space", name)
    source = create("source", "wrapped_normal", scale=1.7).on(space)
    x = space.uniform(Rows(0, "test", 0, range(20_000)), shape, torch.float64)
    share = (source.log_prob(x) + space.log_volume(shape)).exp()
    assert abs(float(share.mean()) - 1) < 5 * float(share.std()) / 141


@pytest.mark.parametrize(("name", "shape"), [("torus", (1,)), ("sphere", (3,)), ("so3", (3, 3))])
def test_wrapped_normal_draws_follow_their_density(name, shape):
    # E f under the draws and under the density, for f the squared distance from the base point
    space = create("space", name)
    source = create("source", "wrapped_normal", scale=0.9).on(space)
    rows = Rows(0, "test", 0, range(20_000))
    origin = space.origin(shape, torch.float64)
    drawn = source.sample(rows, shape, dtype=torch.float64)
    found = space.squared_distance(origin.expand_as(drawn), drawn)
    x = space.uniform(rows, shape, torch.float64)
    weight = (source.log_prob(x) + space.log_volume(shape)).exp()
    wanted = weight * space.squared_distance(origin.expand_as(x), x)
    error = math.hypot(float(found.std()), float(wanted.std())) / 141
    assert abs(float(found.mean() - wanted.mean())) < 5 * error


def test_points_off_the_space_are_refused_with_the_value():
    cases = [
        ("sphere", {}, torch.tensor([[0.0, 0.0, 1.2]]), "length 1.2"),
        ("torus", {}, torch.tensor([[0.1, 180.0]]), "angle of size 180"),
        ("so3", {}, torch.eye(3)[None] * torch.tensor([1.0, 1.0, -1.0]), "no rotation"),
        ("tokens", {"classes": 4}, torch.tensor([[0.0, 4.0]]), "holds 4, and tokens are"),
    ]
    for name, options, x, text in cases:
        with pytest.raises(ComponentError, match=text):
            create("space", name, **options).require(x, "data")


def test_rotations_agree_with_roma():
    roma = pytest.importorskip("roma")
    from fmcore_spaces.so3 import rotation_of_vector, vector_of_rotation

    w = 3.0 * torch.nn.functional.normalize(
        Rows(0, "test", 0, range(50)).normal((3,), torch.float64), dim=1
    )
    rotation = rotation_of_vector(w)
    torch.testing.assert_close(rotation, roma.rotvec_to_rotmat(w))
    torch.testing.assert_close(vector_of_rotation(rotation), w)
