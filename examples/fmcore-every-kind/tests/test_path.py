"""`every_path` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import PathSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "path.yaml"


class TestEveryPath(PathSuite):
    """The conformance suite of a path, run on `every_path`."""

    def component(self):
        return fmcore.create("path", "every_path")


def test_its_recipe_is_valid():
    assert "every_path" in fmcore.load_recipe(RECIPE).to_yaml()
