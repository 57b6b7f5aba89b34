"""`every_objective` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import ObjectiveSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "objective.yaml"


class TestEveryObjective(ObjectiveSuite):
    """The conformance suite of a objective, run on `every_objective`."""

    def component(self):
        return fmcore.create("objective", "every_objective")


def test_its_recipe_is_valid():
    assert "every_objective" in fmcore.load_recipe(RECIPE).to_yaml()
