"""Recipes by name: of a checkout, inside the wheel, and from plugins.  Imports no torch."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from fmcore.errors import RecipeError, did_you_mean
from fmcore.registry import registry
from fmcore.registry.entry import Entry

__all__ = ["Found", "catalogue", "find", "shipped_folder", "shown"]

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Found:
    """A recipe that can be named: `provider` is `fmcore` or the plugin that offers it."""

    name: str
    file: Path
    provider: str = "fmcore"

    @property
    def qualified(self) -> str:
        """`provider/name`, which is never ambiguous."""
        return f"{self.provider}/{self.name}"


def shipped_folder() -> Path:
    """`recipes/` of the checkout that fmcore is imported from, or the copy inside the wheel."""
    package = Path(__file__).parents[1]
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    return package / "_recipes"


def catalogue() -> list[Found]:
    """Every recipe that can be named; files and folders that begin with `_` are only bases."""
    folder = shipped_folder()
    found = []
    for file in folder.rglob("*.yaml"):
        parts = file.relative_to(folder).with_suffix("").parts
        if not any(part.startswith(("_", ".")) for part in parts):
            found.append(Found("/".join(parts), file))
    for entry in registry().entries("recipe"):
        if (offered := _file_of(entry)) is not None:
            found.append(Found(entry.name, offered, entry.plugin))
    return sorted(found, key=lambda recipe: (recipe.name, recipe.provider))


def find(source: str | PathLike[str], folder: Path | None = None) -> Path:
    """The file of a recipe given by path (relative to `folder`) or by name.  Raises RecipeError."""
    file = Path(folder or "", source)
    try:
        if file.is_file():
            return file
        is_folder = file.is_dir()
    except (OSError, ValueError) as error:  # a name too long
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"'{str(source)[:60]}' cannot be a file: {reason}") from None
    if is_folder and Path(source).name != str(source):
        inside = f"; there is '{source}/recipe.yaml'" if (file / "recipe.yaml").is_file() else ""
        raise RecipeError(f"'{source}' is a folder, not a recipe{inside}")
    named = catalogue()
    matches = [recipe for recipe in named if str(source) in (recipe.name, recipe.qualified)]
    if len(matches) == 1:
        return matches[0].file
    if matches:
        which = ", ".join(recipe.qualified for recipe in matches)
        raise RecipeError(f"recipe '{source}' is offered {len(matches)} times; say which: {which}")
    raise RecipeError(_unknown(str(source), [recipe.name for recipe in named]))


def shown(file: Path) -> str:
    """The path as messages show it: relative to where the user is, if it lies beneath."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(file)


def _unknown(source: str, names: list[str]) -> str:
    if source.endswith(SUFFIXES):
        return f"there is no file '{source}'{did_you_mean(Path(source).stem, names)}"
    hint = did_you_mean(source, names) or _installed(names)
    return f"there is no file and no recipe named '{source}'{hint}"


def _installed(names: list[str]) -> str:
    return f"; recipes: {', '.join(dict.fromkeys(names)) or 'none'}"


def _file_of(entry: Entry) -> Path | None:
    """The file of a recipe that a plugin registered; the package is looked up, not imported."""
    package, _, path = str(entry.target).partition(":")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder, path)).is_file():
            return file
    return None
