"""The real components, and the recipes that are shipped."""

from __future__ import annotations

import re

import pytest

from fmcore import load_recipe
from fmcore.recipe.catalog import list_recipes
from fmcore.recipe.schema import list_options
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS
from fmcore.registry.needs import missing

COMPONENTS = [
    entry for kind in KINDS for entry in registry().entries(kind) if not missing(entry.needs)
]


@pytest.fixture(autouse=True)
def only_the_kit(tmp_path, monkeypatch) -> None:
    """Here the installed plugins count, not the kit."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("entry", COMPONENTS, ids=lambda e: f"{e.kind}-{e.name}")
def test_every_component_has_a_schema(entry):
    for option in list_options(entry.load(), KINDS[entry.kind].given):
        assert option.type_text
        assert option.name != "name"


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda r: r.name)
def test_every_shipped_recipe_is_right_and_round_trips(recipe, tmp_path):
    loaded = load_recipe(recipe.file, partial=True)
    file = tmp_path / "recipe.yaml"
    file.write_text(loaded.to_yaml(), encoding="utf-8")
    again = load_recipe(file, partial=True)
    assert again.values == loaded.values
    assert again.digest == loaded.digest


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda r: r.name)
def test_every_shipped_recipe_begins_with_its_description(recipe):
    first = recipe.file.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(r"# [A-Z].+\.(   fmcore run |$)", first)
