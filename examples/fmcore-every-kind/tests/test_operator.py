"""`every_operator` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import OperatorSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "operator.yaml"


class TestEveryOperator(OperatorSuite):
    """The conformance suite of a operator, run on `every_operator`."""

    def component(self):
        return fmcore.create("operator", "every_operator")


def test_its_recipe_is_valid():
    assert "every_operator" in fmcore.load_recipe(RECIPE).to_yaml()
