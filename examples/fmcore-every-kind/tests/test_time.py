"""`every_time` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import TimeSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "time.yaml"


class TestEveryTime(TimeSuite):
    """The conformance suite of a time, run on `every_time`."""

    def component(self):
        return fmcore.create("time", "every_time")


def test_its_recipe_is_valid():
    assert "every_time" in fmcore.load_recipe(RECIPE).to_yaml()
