"""`every_guidance` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import GuidanceSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "guidance.yaml"


class TestEveryGuidance(GuidanceSuite):
    """The conformance suite of a guidance, run on `every_guidance`."""

    def component(self):
        return fmcore.create("guidance", "every_guidance")


def test_its_recipe_is_valid():
    assert "every_guidance" in fmcore.load_recipe(RECIPE).to_yaml()
