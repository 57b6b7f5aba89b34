"""`every_codec` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import CodecSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "codec.yaml"


class TestEveryCodec(CodecSuite):
    """The conformance suite of a codec, run on `every_codec`."""

    def component(self):
        return fmcore.create("codec", "every_codec")


def test_its_recipe_is_valid():
    assert "every_codec" in fmcore.load_recipe(RECIPE).to_yaml()
