"""The argument SRC of `fmcore data`: a recipe, a dataset with options, a file or a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmcore.cli.completing import data_sources
from fmcore.cli.settings import typed_options
from fmcore.errors import DataError, PluginError
from fmcore.registry import Entry, registry

if TYPE_CHECKING:
    from fmcore.interfaces.dataset import Dataset

__all__ = ["open_dataset", "source_argument"]

source_argument = click.argument("source", metavar="SRC", shell_complete=data_sources)


def open_dataset(source: str, settings: Iterable[str]) -> tuple[str, Dataset]:
    """Return the name and the dataset that `source` means, with `key=value` options.

    Raises RecipeError, PluginError, ComponentError or DataError.
    """
    if Path(source).suffix in (".yaml", ".yml"):
        return _from_recipe(source, settings)
    if Path(source).exists() and source not in registry().names("data"):
        entry = _entry_for_format(Path(source))
        return entry.name, _create(entry, [f"root={source}", *settings])
    entry = _entry_by_name(source)
    return entry.name, _create(entry, settings)


def _entry_by_name(source: str) -> Entry:
    """Return the component `source`.  Raises DataError if it looks like a path that is absent."""
    place = Path(source).expanduser().absolute()
    if source.startswith(("/", ".", "~")):
        raise DataError(f"no file or folder {place}")
    try:
        return registry().entry("data", source)
    except PluginError as error:
        if "/" in source or place.suffix:
            raise DataError(f"no file or folder {place}, and {error}") from error
        raise


def _from_recipe(source: str, settings: Iterable[str]) -> tuple[str, Dataset]:
    from fmcore.recipe.load import load_recipe
    from fmcore.recipe.typed_words import require_whole

    settings = list(settings)
    require_whole(settings)
    # `root=...` on the command line is `data.root=...` in the recipe
    recipe = load_recipe(source, [f"data.{setting}" for setting in settings])
    return recipe.values["data"]["name"], recipe.build("data")


def _create(entry: Entry, settings: Iterable[str]) -> Dataset:
    from fmcore.recipe.create import create_from

    data: Dataset = create_from(entry, typed_options(entry, settings))
    return data


def _entry_for_format(place: Path) -> Entry:
    """Return the one dataset that reads `place`.  Raises DataError if there is none, or several."""
    if not (place.is_dir() or place.is_file()):  # opening a FIFO would block
        raise DataError(f"{place.absolute()} is neither a folder nor a regular file")
    entries = registry().entries("data")
    found = [entry for entry in entries if entry.load().recognizes(place)]
    if len(found) == 1:
        return found[0]
    likely = ", ".join(entry.qualified for entry in found)
    known = ", ".join(registry().names("data"))
    state = f"looks like {likely}" if found else f"is in no known format{_contents(place)}"
    raise DataError(
        f"{place.absolute()} {state}: name the format and set its option root, as in "
        f"`fmcore data show {'image_folder' if place.is_dir() else 'npz'} root={place}`; "
        f"formats: {known}"
    )


def _contents(place: Path) -> str:
    """Return the number of files of each suffix in a folder, for a message."""
    if not place.is_dir():
        return ""
    names = (file.name for file in place.rglob("*") if not file.is_dir())
    suffixes = Counter(Path(name).suffix or name for name in names if not name.startswith("."))
    listed = ", ".join(f"{suffix} ({count})" for suffix, count in suffixes.most_common(4))
    return f"; it contains {listed}" if listed else "; it contains no files"
