"""What a command calls its data: a recipe, a name with options, or a place on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmcore.cli.completing import data_sources
from fmcore.cli.settings import typed_options
from fmcore.errors import DataError
from fmcore.registry import Entry, registry

if TYPE_CHECKING:
    from fmcore.interfaces.dataset import Dataset

__all__ = ["opened", "source_argument"]

source_argument = click.argument("source", metavar="SRC", shell_complete=data_sources)


def opened(source: str, settings: Iterable[str]) -> tuple[str, Dataset]:
    """The data set that `source` means, with `key=value` options, and its registered name.

    Raises RecipeError, PluginError, ComponentError or DataError, each with what to do.
    """
    if Path(source).suffix in (".yaml", ".yml"):
        return _of_recipe(source, settings)
    if Path(source).exists() and source not in registry().names("data"):
        entry = _recognised(Path(source))
        return entry.name, _made(entry, [f"root={source}", *settings])
    entry = registry().entry("data", source)
    return entry.name, _made(entry, settings)


def _of_recipe(source: str, settings: Iterable[str]) -> tuple[str, Dataset]:
    from fmcore.recipe.load import load_recipe

    # Options of the data alone: `root=...` here is the recipe's `data.root=...`.
    recipe = load_recipe(source, [f"data.{setting}" for setting in settings])
    return recipe.values["data"]["name"], recipe.build("data")


def _made(entry: Entry, settings: Iterable[str]) -> Dataset:
    from fmcore.recipe.create import create_from

    data: Dataset = create_from(entry, typed_options(entry, settings))
    return data


def _recognised(place: Path) -> Entry:
    """The one data set whose format `place` looks like."""
    entries = registry().entries("data")
    found = [entry for entry in entries if entry.load().recognizes(place)]
    if len(found) == 1:
        return found[0]
    likely = ", ".join(entry.qualified for entry in found)
    known = ", ".join(registry().names("data"))
    state = f"looks like {likely}" if found else "is in no format that is known"
    raise DataError(
        f"{place} {state}: name the format and give the place as an option, as in "
        f"`fmcore data show image_folder root={place}`; formats: {known}"
    )
