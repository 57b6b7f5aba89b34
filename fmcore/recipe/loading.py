"""Load a recipe: the file and its bases, the overrides on top, everything checked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from fmcore.recipe.components import default_node
from fmcore.recipe.composing import composed
from fmcore.recipe.faults import Faults
from fmcore.recipe.finding import find
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import Mark
from fmcore.recipe.overrides import layer
from fmcore.recipe.recipe import Recipe, resolved

__all__ = ["load_recipe"]


def load_recipe(
    source: str | PathLike[str] | Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    name: str | None = None,
    partial: bool = False,
) -> Recipe:
    """The recipe of a file, of a shipped or registered name, or of a mapping, with `key=value`
    overrides.

    `partial=True` lets `???` values stand: they are listed in `Recipe.missing`, and what needs them
    cannot be built. Raises RecipeError with every fault, each with its place.
    """
    faults = Faults()
    if isinstance(source, Mapping):
        tree, path = default_node(source, Mark("recipe"), literal=False), None
    else:
        path = find(source)
        tree = composed(path, faults)
    tree = merge(tree, layer(overrides, faults))
    return resolved(name or (path.stem if path else "recipe"), path, tree, faults, partial)
