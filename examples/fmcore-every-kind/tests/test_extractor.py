"""`every_extractor` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import ExtractorSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "extractor.yaml"


class TestEveryExtractor(ExtractorSuite):
    """The conformance suite of a extractor, run on `every_extractor`."""

    def component(self):
        return fmcore.create("extractor", "every_extractor")


def test_its_recipe_is_valid():
    assert "every_extractor" in fmcore.load_recipe(RECIPE).to_yaml()
