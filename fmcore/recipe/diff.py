"""A resolved recipe as YAML, with the source of every value behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, final

from fmcore.recipe.dump import scalar
from fmcore.recipe.nodes import Block, Items, Leaf, Mark, Node, plain
from fmcore.recipe.recipe import Recipe

__all__ = ["ABSENT", "Difference", "annotated", "diff"]

MAX_COLUMN = 56  # sources are aligned up to here; behind longer lines they follow after two spaces


def annotated(recipe: Recipe) -> str:
    """The complete recipe; comments say `file:line`, `command line` or `default`."""
    lines = list(_lines(recipe.completed, ""))
    width = max(len(text) for text, _ in lines if len(text) <= MAX_COLUMN)
    rows = (f"{text:<{width}}  # {_source(mark)}" if mark else text for text, mark in lines)
    return "\n".join(rows) + "\n"


def _lines(node: Node, indent: str) -> Iterator[tuple[str, Mark | None]]:
    """Lines and where their values come from; None for lines that only open a block."""
    if isinstance(node, Block):
        for key, child in node.entries.items():
            yield from _entry(f"{indent}{scalar(key)}:", child, indent + "  ")
    elif isinstance(node, Items):
        for child in node.items:
            yield from _item(child, indent)


def _entry(head: str, node: Node, indent: str) -> Iterator[tuple[str, Mark | None]]:
    if _on_one_line(node):
        yield f"{head} {scalar(plain(node))}", node.origin
    else:
        yield head, None
        yield from _lines(node, indent)


def _item(node: Node, indent: str) -> Iterator[tuple[str, Mark | None]]:
    if _on_one_line(node):
        yield f"{indent}- {scalar(plain(node))}", node.origin
        return
    inside = list(_lines(node, indent + "  "))
    text, mark = inside[0]
    yield f"{indent}- {text[len(indent) + 2 :]}", mark
    yield from inside[1:]


def _on_one_line(node: Node) -> bool:
    if isinstance(node, Items):
        return all(isinstance(item, Leaf) for item in node.items)
    return isinstance(node, Leaf) or not node.entries


def _source(mark: Mark) -> str:
    if mark.source.startswith("default"):
        return "default"
    return f"{mark.source}:{mark.line}" if mark.line else mark.source


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Any = _Absent()
"""Stands for the value of a key that one of the recipes does not have."""


@final
class Difference(NamedTuple):
    """One key whose values differ; ABSENT on the side that does not have it."""

    key: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.key}: {in_yaml(self.left)} -> {in_yaml(self.right)}"


def diff(left: Recipe, right: Recipe) -> list[Difference]:
    """The keys in which two recipes differ, section by section; empty if they say the same."""
    a, b = _flat(left.values), _flat(right.values)
    sections = list(left.values)
    keys = sorted(dict.fromkeys([*a, *b]), key=lambda key: sections.index(key.partition(".")[0]))
    pairs = [Difference(key, a.get(key, ABSENT), b.get(key, ABSENT)) for key in keys]
    return [pair for pair in pairs if not _same(pair.left, pair.right)]


def in_yaml(value: Any) -> str:
    """A value as a recipe writes it."""
    return repr(value) if value is ABSENT else scalar(value)


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    """Single values, empty mappings and lists of single values by their dotted keys."""
    if isinstance(value, dict) and value:
        pairs = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        pairs = {str(index): item for index, item in enumerate(value)}.items()
    else:
        return {at: value}
    found: dict[str, Any] = {}
    for key, child in pairs:
        found |= _flat(child, f"{at}.{key}" if at else key)
    return found


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)
