"""`every_lr_schedule` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import LearningRateSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "lr_schedule.yaml"


class TestEveryLrSchedule(LearningRateSuite):
    """The conformance suite of a lr_schedule, run on `every_lr_schedule`."""

    def component(self):
        return fmcore.create("lr_schedule", "every_lr_schedule")


def test_its_recipe_is_valid():
    assert "every_lr_schedule" in fmcore.load_recipe(RECIPE).to_yaml()
