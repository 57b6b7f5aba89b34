"""`every_callback` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import CallbackSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "callback.yaml"


class TestEveryCallback(CallbackSuite):
    """The conformance suite of a callback, run on `every_callback`."""

    def component(self):
        return fmcore.create("callback", "every_callback")


def test_its_recipe_is_valid():
    assert "every_callback" in fmcore.load_recipe(RECIPE).to_yaml()
