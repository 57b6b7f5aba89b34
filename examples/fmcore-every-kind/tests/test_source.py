"""`every_source` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import SourceSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "source.yaml"


class TestEverySource(SourceSuite):
    """The conformance suite of a source, run on `every_source`."""

    def component(self):
        return fmcore.create("source", "every_source")


def test_its_recipe_is_valid():
    assert "every_source" in fmcore.load_recipe(RECIPE).to_yaml()
