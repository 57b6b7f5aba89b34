"""The other runs that a recipe names, wherever a component has an option of type RunOption."""

from __future__ import annotations

from collections.abc import Iterator

from fmcore.interfaces.run_option import RunOption
from fmcore.recipe.components import Component, Settings
from fmcore.recipe.containers import Bounded, ListOf, MapOf, OneOf, TupleOf
from fmcore.recipe.nodes import MappingNode, Node, ScalarNode, children
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sections
from fmcore.recipe.types import Type
from fmcore.registry import registry

__all__ = ["run_options"]


def run_options(recipe: Recipe) -> dict[str, RunOption]:
    """Return the runs that the components of `recipe` need, by dotted key: `objective.teacher`."""
    return dict(_in_options(Sections, recipe.completed, ""))


def _in_options(target: type, block: MappingNode, at: str) -> Iterator[tuple[str, RunOption]]:
    for option in list_options(target):
        if option.name in block.entries:
            key = f"{at}.{option.name}" if at else option.name
            yield from _in_value(option.type, block.entries[option.name], key)


def _in_value(kind: Type, node: Node, at: str) -> Iterator[tuple[str, RunOption]]:
    if isinstance(node, ScalarNode) and isinstance(node.value, RunOption):  # given in Python
        yield at, node.value
    elif isinstance(kind, Bounded):
        yield from _in_value(kind.inner, node, at)
    elif isinstance(kind, OneOf):
        yield from _in_union(kind, node, at)
    elif isinstance(kind, ListOf | MapOf):
        for key, child in children(node):
            yield from _in_value(kind.item, child, f"{at}.{key}")
    elif isinstance(kind, TupleOf):
        for part, (key, child) in zip(kind.parts, children(node), strict=False):
            yield from _in_value(part, child, f"{at}.{key}")
    elif isinstance(node, MappingNode):
        yield from _in_mapping(kind, node, at)


def _in_union(kind: OneOf, node: Node, at: str) -> Iterator[tuple[str, RunOption]]:
    found: dict[str, RunOption] = {}
    # a value fits one of the types, and only components and settings hold runs
    for inner in kind.types:
        if isinstance(inner, Component) == (isinstance(node, MappingNode) and _is_named(node)):
            found |= dict(_in_value(inner, node, at))
    yield from found.items()


def _in_mapping(kind: Type, node: MappingNode, at: str) -> Iterator[tuple[str, RunOption]]:
    if isinstance(kind, Settings) and kind.target is RunOption:
        yield at, kind.build(node)
    elif isinstance(kind, Settings):
        yield from _in_options(kind.target, node, at)
    elif isinstance(kind, Component) and _is_named(node):
        name = node.entries["name"]
        entry = registry().entry(kind.kind, str(getattr(name, "value", "")))
        yield from _in_options(entry.load(), node, at)


def _is_named(node: MappingNode) -> bool:
    return "name" in node.entries
