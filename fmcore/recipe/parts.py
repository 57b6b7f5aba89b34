"""The components and the settings that a recipe consists of, by dotted key."""

from __future__ import annotations

from collections.abc import Iterator

from fmcore.interfaces.run_option import RunOption
from fmcore.recipe.components import Component, Settings
from fmcore.recipe.containers import Bounded, ListOf, MapOf, OneOf, TupleOf
from fmcore.recipe.nodes import MappingNode, Node, ScalarNode, children, walk
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sections
from fmcore.recipe.types import Type
from fmcore.registry import registry
from fmcore.registry.entry import Entry

__all__ = ["component_entries", "run_options"]

Part = tuple[str, Component | Settings, Node]


def run_options(recipe: Recipe) -> dict[str, RunOption]:
    """Return the other runs that `recipe` names, by dotted key: `objective.teacher`."""
    # in Python an option can be a RunOption itself
    given = {k: n.value for k, n in walk(recipe.completed) if isinstance(n.value, RunOption)}
    return given | {
        key: kind.build(node)
        for key, kind, node in _in_options(Sections, recipe.completed, "")
        if isinstance(kind, Settings) and kind.target is RunOption
    }


def component_entries(recipe: Recipe) -> dict[str, Entry]:
    """Return the registered entry of each component of `recipe`, by dotted key: `path.source`."""
    return {
        key: registry().entry(kind.kind, _name(node))
        for key, kind, node in _in_options(Sections, recipe.completed, "")
        if isinstance(kind, Component) and _name(node)
    }


def _in_options(target: type, block: MappingNode, at: str) -> Iterator[Part]:
    for option in list_options(target):
        if option.name in block.entries:
            key = f"{at}.{option.name}" if at else option.name
            yield from _in_value(option.type, block.entries[option.name], key)


def _in_value(kind: Type, node: Node, at: str) -> Iterator[Part]:
    if isinstance(kind, Bounded):
        yield from _in_value(kind.inner, node, at)
    elif isinstance(kind, OneOf):
        # a mapping with `name` is a component, another one is settings or plain values
        fitting = [t for t in kind.types if isinstance(t, Component) == bool(_name(node))]
        for inner in fitting:
            yield from _in_value(inner, node, at)
    elif isinstance(kind, ListOf | MapOf):
        for key, child in children(node):
            yield from _in_value(kind.item, child, f"{at}.{key}")
    elif isinstance(kind, TupleOf):
        for part, (key, child) in zip(kind.parts, children(node), strict=False):
            yield from _in_value(part, child, f"{at}.{key}")
    elif isinstance(kind, Component | Settings):
        yield from _in_part(kind, node, at)


def _in_part(kind: Component | Settings, node: Node, at: str) -> Iterator[Part]:
    if not isinstance(node, MappingNode):
        return
    yield at, kind, node
    if isinstance(kind, Settings):
        yield from _in_options(kind.target, node, at)
    elif name := _name(node):
        yield from _in_options(registry().entry(kind.kind, name).load(), node, at)


def _name(node: Node) -> str:
    """Return the name of a component, '' for other values."""
    named = node.entries.get("name") if isinstance(node, MappingNode) else None
    value = named.value if isinstance(named, ScalarNode) else None
    return value if isinstance(value, str) else ""
