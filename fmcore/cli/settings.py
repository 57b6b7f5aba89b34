"""`KEY=VALUE` of the command line as the options of one component, outside any recipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from fmcore.errors import ComponentError
from fmcore.registry import Entry
from fmcore.registry.kinds import KINDS

__all__ = ["typed_options", "typed_settings"]

T = TypeVar("T")


def typed_options(entry: Entry, settings: Iterable[str]) -> dict[str, Any]:
    """The options in their types.  Raises ComponentError with all that is wrong."""
    from fmcore.recipe.nodes import COMMAND_LINE, Block, Faults
    from fmcore.recipe.overrides import layer
    from fmcore.recipe.schema import build_options, options, read_options
    from fmcore.recipe.types import Reading

    target, faults = entry.load(), Faults()
    reading = Reading(faults=faults, construct=False, defaults=False)
    own = options(target, KINDS[entry.kind].given)
    what = f"{entry.kind} '{entry.name}'"
    read = read_options(own, layer(settings, faults), what, "", reading)
    if len(faults):
        raise ComponentError("\n".join(f"{where}: {message}" for where, message in faults.found))
    return build_options(target, Block(COMMAND_LINE, read))


def typed_settings(target: type[T], settings: Iterable[str], what: str) -> T:
    """The settings `target`, a dataclass.  Raises RecipeError with all that is wrong."""
    from fmcore.recipe.nodes import COMMAND_LINE, Block, Faults
    from fmcore.recipe.overrides import layer
    from fmcore.recipe.schema import build_options, options, read_options
    from fmcore.recipe.types import Reading

    faults = Faults()
    reading = Reading(faults=faults)
    read = read_options(options(target), layer(settings, faults), what, "", reading)
    for key, mark in reading.missing.items():
        faults.add(mark, f"{key} must be given: add {key}=...")
    faults.raise_any()
    return target(**build_options(target, Block(COMMAND_LINE, read)))
