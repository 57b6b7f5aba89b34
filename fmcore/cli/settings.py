"""`KEY=VALUE` of the command line as the options of one component, without a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from fmcore.errors import ComponentError
from fmcore.recipe.nodes import COMMAND_LINE, Diagnostics, MappingNode
from fmcore.recipe.options import build_options, validate_options
from fmcore.recipe.overrides import parse_overrides
from fmcore.recipe.schema import list_options
from fmcore.recipe.types import Validation
from fmcore.registry import Entry
from fmcore.registry.kinds import KINDS

__all__ = ["typed_options", "typed_settings"]

T = TypeVar("T")


def typed_options(entry: Entry, settings: Iterable[str]) -> dict[str, Any]:
    """Return a component's options with their types.  Raises ComponentError with every error."""
    diagnostics = Diagnostics()
    # the caller constructs the component, whose constructor has the same defaults
    validation = Validation(diagnostics, construct=False, defaults=False)
    own = list_options(entry.load(), KINDS[entry.kind].given)
    what = f"{entry.kind} '{entry.name}'"
    checked = validate_options(own, parse_overrides(settings, diagnostics), what, "", validation)
    if len(diagnostics):
        raise ComponentError("\n".join(f"{mark}: {text}" for mark, text in diagnostics.found))
    return build_options(own, MappingNode(COMMAND_LINE, checked))


def typed_settings(target: type[T], settings: Iterable[str], what: str) -> T:
    """Return the dataclass `target` with these settings.  Raises RecipeError with every error."""
    diagnostics = Diagnostics()
    validation = Validation(diagnostics)
    own = list_options(target)
    checked = validate_options(own, parse_overrides(settings, diagnostics), what, "", validation)
    for key, mark in validation.missing.items():
        diagnostics.add(mark, f"{key} must be given: add {key}=...")
    diagnostics.raise_any()
    return target(**build_options(own, MappingNode(COMMAND_LINE, checked)))
