"""Recipes by name: those of a checkout, of the wheel and of plugins.  Imports no torch."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from fmcore.errors import RecipeError, similar_to
from fmcore.registry import registry
from fmcore.registry.entry import Entry

__all__ = [
    "SUFFIXES",
    "NamedRecipe",
    "current_folder",
    "display_path",
    "find_recipe",
    "list_recipes",
    "shipped_folder",
]

SUFFIXES = (".yaml", ".yml")
MAX_LISTED = 5


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe with a name; `provider` is `fmcore` or the plugin that registers it."""

    name: str
    file: Path
    provider: str = "fmcore"

    @property
    def qualified(self) -> str:
        """`provider/name`, which is never ambiguous."""
        return f"{self.provider}/{self.name}"


def shipped_folder() -> Path:
    """Return `recipes/` of the checkout that fmcore is imported from, or its copy in the wheel."""
    package = Path(__file__).parents[1]
    checkout = package.parent
    # pyproject.toml as well: site-packages may hold a folder `recipes` of another distribution
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    return package / "_recipes"


def list_recipes() -> list[NamedRecipe]:
    """Return every recipe with a name; files and folders that begin with `_` are only bases."""
    folder = shipped_folder()
    found = []
    for file in folder.rglob("*.yaml"):
        parts = file.relative_to(folder).with_suffix("").parts
        if not any(part.startswith(("_", ".")) for part in parts):
            found.append(NamedRecipe("/".join(parts), file))
    for entry in registry().entries("recipe"):
        if (registered := _find_registered(entry)) is not None:
            found.append(NamedRecipe(entry.name, registered, entry.plugin))
    return sorted(found, key=lambda recipe: (recipe.name, recipe.provider))


def find_recipe(source: str | PathLike[str], folder: Path | None = None) -> Path:
    """Return the file of a recipe, given by its path (relative to `folder`) or its name.

    Raises RecipeError if there is none, or more than one.
    """
    file = Path(folder or "", source)
    try:
        if file.is_file():
            _require_suffix(source, file)
            return file
        is_folder = file.is_dir()
    except (OSError, ValueError) as error:  # a name too long, or with a NUL
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"'{str(source)[:60]}' cannot be a file: {reason}") from None
    named = list_recipes()
    matches = [recipe for recipe in named if str(source) in (recipe.name, recipe.qualified)]
    # a folder in the current one may have the bare name of a recipe: `runs`, `digits`
    if is_folder and str(source) and (Path(source).name != str(source) or not matches):
        raise RecipeError(_describe_folder(source, file))
    if len(matches) == 1:
        return matches[0].file
    if matches:
        names = ", ".join(recipe.qualified for recipe in matches)
        count = len(matches)
        raise RecipeError(f"recipe '{source}' is offered {count} times; write one of: {names}")
    raise RecipeError(_describe_unknown(str(source), file, [recipe.name for recipe in named]))


def display_path(file: Path) -> str:
    """Return the path as messages show it: relative to the current folder if the file is in it."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):  # a deleted current folder; a file outside of it
        return str(file)


def current_folder() -> str:
    """Return the absolute path of the current folder, '' if it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _require_suffix(source: str | PathLike[str], file: Path) -> None:
    """Raise RecipeError for a file of another type, which might even be valid YAML."""
    if file.suffix and file.suffix not in SUFFIXES:
        raise RecipeError(f"'{source}' is not a recipe: the name of a recipe ends in .yaml or .yml")


def _describe_folder(source: str | PathLike[str], folder: Path) -> str:
    if not (folder / "recipe.yaml").is_file():
        own = [str(Path(source, file.name)) for file in _recipe_files(folder)]
        listed = f"; recipes in it: {', '.join(own[:MAX_LISTED])}" if own else ""
        return f"'{source}' is a folder, not a recipe{listed}"
    return (
        f"'{source}' is a folder, not a recipe; there is '{source}/recipe.yaml': if it is a run, "
        f"resume it with fmcore run {source}/recipe.yaml --out {source}"
    )


def _describe_unknown(source: str, file: Path, names: list[str]) -> str:
    is_file = source.endswith(SUFFIXES)
    absent = next((folder for folder in reversed(file.parents) if not folder.exists()), None)
    # by stem: 'small' and 'smal.yaml' both mean small.yaml
    files = {f.stem: str(Path(source).parent / f.name) for f in _recipe_files(file.parent)}
    choices = dict(zip(names, names, strict=True)) | files
    near = similar_to(Path(source).stem if is_file else Path(source).name, choices)
    hint = f"; did you mean '{choices[near]}'?" if near else ""
    if is_file and absent is not None:
        return f"there is no file '{source}', and no folder '{absent}'{hint}"
    if is_file:
        return f"there is no file '{source}'{hint}"
    known = f"; recipes: {', '.join(dict.fromkeys(names)) or 'none'}"
    return f"there is no file and no recipe named '{source}'{hint or known}"


def _recipe_files(folder: Path) -> list[Path]:
    """Return the YAML files in a folder, sorted; none of a folder that cannot be read."""
    try:
        return sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    except OSError:
        return []


def _find_registered(entry: Entry) -> Path | None:
    """Return the file of a plugin's recipe; the package is located, not imported."""
    package, _, path = str(entry.target).partition(":")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):  # what a broken package makes find_spec raise
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder, path)).is_file():
            return file
    return None
