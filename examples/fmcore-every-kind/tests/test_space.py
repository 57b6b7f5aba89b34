"""`every_space` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import SpaceSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "space.yaml"


class TestEverySpace(SpaceSuite):
    """The conformance suite of a space, run on `every_space`."""

    def component(self):
        return fmcore.create("space", "every_space")


def test_its_recipe_is_valid():
    assert "every_space" in fmcore.load_recipe(RECIPE).to_yaml()
