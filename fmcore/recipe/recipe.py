"""A recipe, resolved: every value with its source, and the means to build what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.errors import ComponentError, RecipeError, did_you_mean
from fmcore.recipe.dump import canonical, to_yaml
from fmcore.recipe.interpolation import interpolated
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import Block, Faults, Node, children, lookup, plain, walk
from fmcore.recipe.overrides import layer
from fmcore.recipe.schema import Component, Option, options, read_options
from fmcore.recipe.sections import Sections
from fmcore.recipe.types import Reading, is_open

__all__ = ["Recipe", "resolved"]


@final
@dataclass(frozen=True, eq=False)
class Recipe:
    """What a run is to do, complete: all defaults written out, nothing left to look up.

    `name` is the file's without its suffix.  `missing` holds the keys that are still `???`, of
    recipes that were loaded with `partial=True`; other recipes have none.
    """

    name: str
    path: Path | None
    missing: tuple[str, ...]
    written: Block
    completed: Block

    @property
    def values(self) -> dict[str, Any]:
        """A fresh copy of all values, plain as JSON, in the order of Sections."""
        values: dict[str, Any] = plain(self.completed)
        return values

    @property
    def digest(self) -> str:
        """SHA-256 of the values: equal for recipes that say the same, however they are written."""
        return hashlib.sha256(canonical(self.values).encode()).hexdigest()

    def to_yaml(self) -> str:
        """The complete recipe as YAML; loading it gives equal values."""
        return to_yaml(self.values)

    def origin(self, key: str) -> str:
        """Where a value is from: `recipes/a.yaml:7:3`, `command line`, `default of path 'ot'`."""
        return str(self._node(key).origin)

    @property
    def origins(self) -> dict[str, str]:
        """The source of every value, by its dotted key."""
        return dict(_origins(self.completed))

    def override(self, overrides: Iterable[str]) -> Recipe:
        """This recipe with `key=value` texts laid on it."""
        faults = Faults()
        return resolved(
            self.name,
            self.path,
            merge(self.written, layer(overrides, faults)),
            faults,
            bool(self.missing),
        )

    def build(self, section: str, **given: Any) -> Any:
        """The component of a section, or None if there is none; `given` are arguments that a recipe
        may leave out, such as a model's `shape`.

        Raises RecipeError for values still missing and for what the constructor refuses, saying
        where it stands.
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
            raise RecipeError(f"{node.origin}: {error}") from error

    def settings(self, section: str) -> Any:
        """A section that is no component: `train`, `sample`, `evaluate` as dataclasses, or None."""
        return self.build(section)

    def _section(self, section: str) -> tuple[Option, Node]:
        own = {option.name: option for option in options(Sections)}
        if section not in own:
            raise RecipeError(f"a recipe has no section '{section}'{did_you_mean(section, own)}")
        return own[section], self.completed.entries[section]

    def _node(self, key: str) -> Node:
        node = lookup(self.completed, key.split("."))
        if node is None:
            known = [k for k, _ in walk(self.completed)]
            raise RecipeError(f"recipe '{self.name}' has no '{key}'{did_you_mean(key, known)}")
        return node


def resolved(name: str, path: Path | None, written: Node, faults: Faults, partial: bool) -> Recipe:
    """The recipe that a merged tree stands for.

    Raises RecipeError with everything that is wrong with it; `???` is wrong unless `partial`.
    """
    if not isinstance(written, Block):
        raise RecipeError(f"{written.mark}: a recipe is a mapping of sections, as in `path: ot`")
    tree = _without_references(written, faults)
    reading = Reading(faults)
    completed = _completed(tree, reading)
    for key, mark in reading.missing.items():
        if not partial:
            faults.add(mark, _must_be_given(key))
    faults.raise_any()
    return Recipe(name, path, tuple(reading.missing), written, completed)


def _origins(node: Node, at: str = "") -> Iterator[tuple[str, str]]:
    """Of every leaf, and of every list and mapping that is empty."""
    inside = list(children(node))
    if not inside:
        yield at, str(node.origin)
    for key, child in inside:
        yield from _origins(child, f"{at}.{key}" if at else key)


def _without_references(written: Block, faults: Faults) -> Block:
    """References to what is written first; then the rest, against the defaults this settles."""
    once = interpolated(written, None, faults)
    if not any(is_open(leaf) for _, leaf in walk(once)):
        return once
    guess = _completed(once, Reading(construct=False))
    return interpolated(once, guess, faults)


def _completed(tree: Block, reading: Reading) -> Block:
    read = read_options(options(Sections), tree, "a recipe", "", reading, noun="section")
    return Block(tree.mark, read)


def _must_be_given(key: str, where: str = "") -> str:
    message = f"{key} must be given: add {key}=... to the command line"
    return f"{where}: {message}" if where else message
