"""`every_metric` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import MetricSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "metric.yaml"


class TestEveryMetric(MetricSuite):
    """The conformance suite of a metric, run on `every_metric`."""

    def component(self):
        return fmcore.create("metric", "every_metric")


def test_its_recipe_is_valid():
    assert "every_metric" in fmcore.load_recipe(RECIPE).to_yaml()
