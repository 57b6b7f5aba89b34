"""A complete recipe: every value with its source, and the components that it describes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.errors import ComponentError, RecipeError, did_you_mean
from fmcore.interfaces.html import html_table
from fmcore.recipe.components import Component
from fmcore.recipe.consistency import check_sections
from fmcore.recipe.dump import to_canonical_json, to_yaml
from fmcore.recipe.interpolation import interpolate
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import (
    Diagnostics,
    MappingNode,
    Node,
    children,
    lookup,
    redact,
    to_python,
    walk,
)
from fmcore.recipe.options import Option, validate_options
from fmcore.recipe.overrides import parse_overrides
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sections
from fmcore.recipe.types import Validation, has_reference

__all__ = ["Recipe", "resolve"]


@final
# compare digests: equal values may have different places; the generated repr would print every node
@dataclass(frozen=True, eq=False, repr=False)
class Recipe:
    """A complete description of a run: all defaults included, all references resolved.

    `name` is the file's without its suffix.  `missing` holds the keys that are still `???`, of
    recipes loaded with `partial=True`; other recipes have none.
    """

    name: str
    path: Path | None
    missing: tuple[str, ...]
    written: MappingNode  # as in the files, before defaults: what `override` merges into
    completed: MappingNode

    def __repr__(self) -> str:
        sections = sum(bool(value) for value in self.values.values() if isinstance(value, dict))
        return f"Recipe({self.name!r}, {sections} sections)"

    def _repr_html_(self) -> str:
        rows: dict[str, list[str]] = {}
        for key, origin in self.origins.items():
            if not origin.startswith("default"):
                section, _, option = key.partition(".")
                value = to_python(self._lookup(key), record=True)
                rows.setdefault(section, []).append(f"{option} {value}".strip())
        return html_table(repr(self), {name: ", ".join(own) for name, own in rows.items()})

    @property
    def values(self) -> dict[str, Any]:
        """A new copy of all values, which JSON can hold, in the order of Sections.

        Text and file paths from the environment are their references, `${oc.env:NAME}`, since they
        may be secret and values are saved and printed.  `build` uses the resolved values.
        """
        values: dict[str, Any] = to_python(self.completed, record=True)
        return values

    @property
    def digest(self) -> str:
        """SHA-256 of the values: equal for recipes with equal values, however they are written."""
        return hashlib.sha256(to_canonical_json(self.values).encode()).hexdigest()

    def to_yaml(self) -> str:
        """Return the complete recipe as YAML; loading it gives equal values."""
        return to_yaml(self.values)

    def origin(self, key: str) -> str:
        """Return the source of a value: `recipes/a.yaml:7:3`, `command line`, `default of path
        'ot'`."""
        return str(self._lookup(key).origin)

    @property
    def origins(self) -> dict[str, str]:
        """The source of every value, by its dotted key."""
        return dict(_list_origins(self.completed))

    def override(self, overrides: Iterable[str]) -> Recipe:
        """Return this recipe with `key=value` texts merged into it."""
        diagnostics = Diagnostics()
        # not into `completed`, in which references have the old values
        tree = merge(self.written, parse_overrides(overrides, diagnostics))
        return resolve(self.name, self.path, tree, diagnostics, partial=bool(self.missing))

    def check(self) -> None:
        """Raise RecipeError if sections contradict each other, as a bound on no result does.

        Loading does not check this: a finished run is evaluated again with other metrics.
        """
        diagnostics = Diagnostics()
        check_sections(self.completed, diagnostics)
        diagnostics.raise_any()

    def build(self, section: str, **given: Any) -> Any:
        """Return the component of a section, or None if there is none; `given` are arguments that a
        recipe may omit, such as a model's `shape`.

        Raises RecipeError, with its place, for a value that is missing or that the constructor
        refuses.
        """
        option, node = self._section(section)
        for key in self.missing:
            if key == section or key.startswith(f"{section}."):
                raise RecipeError(_must_be_given(key, self.origin(key)))
        try:
            if isinstance(option.type, Component):
                return option.type.build(node, given)
            return option.type.build(node)
        except ComponentError as error:
            raise RecipeError(f"{node.origin}: {redact(str(error), node)}") from error

    def settings(self, section: str) -> Any:
        """Return `train`, `sample`, `evaluate` as a dataclass, None if absent; `expect` as a
        dict."""
        return self.build(section)

    def _section(self, section: str) -> tuple[Option, Node]:
        own = {option.name: option for option in list_options(Sections)}
        if section not in own:
            raise RecipeError(f"a recipe has no section '{section}'{did_you_mean(section, own)}")
        return own[section], self.completed.entries[section]

    def _lookup(self, key: str) -> Node:
        node = lookup(self.completed, key.split("."))
        if node is None:
            known = [k for k, _ in walk(self.completed)]
            raise RecipeError(f"recipe '{self.name}' has no '{key}'{did_you_mean(key, known)}")
        return node


def resolve(
    name: str, path: Path | None, written: Node, diagnostics: Diagnostics, partial: bool
) -> Recipe:
    """Return the recipe of a merged tree.

    Raises RecipeError with every error; `???` is one unless `partial`.
    """
    if not isinstance(written, MappingNode):
        raise RecipeError(f"{written.mark}: a recipe is a mapping of sections, as in `path: ot`")
    tree = _resolve_references(written, diagnostics)
    validation = Validation(diagnostics)
    completed = _complete(tree, validation)
    for key, mark in validation.missing.items():  # after all else, which may be wrong too
        if not partial:
            diagnostics.add(mark, _must_be_given(key))
    diagnostics.raise_any()
    return Recipe(name, path, tuple(validation.missing), written, completed)


def _list_origins(node: Node, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the source of every scalar, and of every list and mapping that is empty."""
    inside = list(children(node))
    if not inside:
        yield at, str(node.origin)
    for key, child in inside:
        yield from _list_origins(child, f"{at}.{key}" if at else key)


def _resolve_references(written: MappingNode, diagnostics: Diagnostics) -> MappingNode:
    """Resolve references to written values first, since these may name components; then the rest,
    against the defaults of those components."""
    once = interpolate(written, None, diagnostics)
    if not any(has_reference(scalar) for _, scalar in walk(once)):
        return once
    # its errors are discarded: the second pass finds them again
    defaults = _complete(once, Validation(construct=False))
    return interpolate(once, defaults, diagnostics)


def _complete(tree: MappingNode, validation: Validation) -> MappingNode:
    sections = list_options(Sections)
    return MappingNode(
        tree.mark, validate_options(sections, tree, "a recipe", "", validation, noun="section")
    )


def _must_be_given(key: str, where: str = "") -> str:
    message = f"{key} must be given: add {key}=... to the command line"
    return f"{where}: {message}" if where else message
