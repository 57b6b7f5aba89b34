"""`every_model` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import ModelSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "model.yaml"


class TestEveryModel(ModelSuite):
    """The conformance suite of a model, run on `every_model`."""

    def component(self):
        return fmcore.create("model", "every_model", shape=self.shape)


def test_its_recipe_is_valid():
    assert "every_model" in fmcore.load_recipe(RECIPE).to_yaml()
