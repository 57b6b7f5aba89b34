"""`every_data` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import DatasetSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "data.yaml"


class TestEveryData(DatasetSuite):
    """The conformance suite of a data, run on `every_data`."""

    def component(self):
        return fmcore.create("data", "every_data")


def test_its_recipe_is_valid():
    assert "every_data" in fmcore.load_recipe(RECIPE).to_yaml()
