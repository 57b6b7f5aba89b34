"""`every_coupling` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import CouplingSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "coupling.yaml"


class TestEveryCoupling(CouplingSuite):
    """The conformance suite of a coupling, run on `every_coupling`."""

    def component(self):
        return fmcore.create("coupling", "every_coupling")


def test_its_recipe_is_valid():
    assert "every_coupling" in fmcore.load_recipe(RECIPE).to_yaml()
