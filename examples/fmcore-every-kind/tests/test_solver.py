"""`every_solver` passes the conformance suite of its kind, and works in a recipe."""

from __future__ import annotations

from pathlib import Path

import fmcore
from fmcore.testing import SolverSuite

RECIPE = Path(__file__).parents[1] / "recipes" / "solver.yaml"


class TestEverySolver(SolverSuite):
    """The conformance suite of a solver, run on `every_solver`."""

    def component(self):
        return fmcore.create("solver", "every_solver", steps=16)


def test_its_recipe_is_valid():
    assert "every_solver" in fmcore.load_recipe(RECIPE).to_yaml()
