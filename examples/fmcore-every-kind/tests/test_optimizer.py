"""`every_optimizer` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import OptimizerSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "optimizer.yaml"


class TestEveryOptimizer(OptimizerSuite):
    """The conformance suite of a optimizer, run on `every_optimizer`."""

    def component(self):
        return fmcore.create("optimizer", "every_optimizer")


def test_its_recipe_is_valid():
    assert "every_optimizer" in fmcore.load_recipe(RECIPE).to_yaml()
