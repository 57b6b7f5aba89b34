"""Show a complete recipe with the source of every value, and the differences of two recipes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, final

from fmcore.recipe.dump import to_yaml_line
from fmcore.recipe.nodes import MappingNode, Mark, Node, ScalarNode, SequenceNode, to_python
from fmcore.recipe.recipe import Recipe

__all__ = ["ABSENT", "Difference", "annotate", "diff", "format_value"]

MAX_COLUMN = 56  # sources are aligned up to here; after longer lines they follow two spaces


def annotate(recipe: Recipe) -> str:
    """Return the complete recipe as YAML, with comments: `file:line`, `command line`, `default`."""
    lines = list(_list_lines(recipe.completed, ""))
    width = max(len(text) for text, _ in lines if len(text) <= MAX_COLUMN)
    rows = (f"{text:<{width}}  # {_source(mark)}" if mark else text for text, mark in lines)
    return "\n".join(rows) + "\n"


def _list_lines(node: Node, indent: str) -> Iterator[tuple[str, Mark | None]]:
    """Yield lines and the places of their values; None for lines that only open a block."""
    if isinstance(node, MappingNode):
        for key, child in node.entries.items():
            yield from _list_entry(f"{indent}{to_yaml_line(key)}:", child, indent + "  ")
    elif isinstance(node, SequenceNode):
        for child in node.items:
            yield from _list_item(child, indent)


def _list_entry(head: str, node: Node, indent: str) -> Iterator[tuple[str, Mark | None]]:
    if _fits_one_line(node):
        yield f"{head} {to_yaml_line(to_python(node, record=True))}", node.origin
    else:
        yield head, None
        yield from _list_lines(node, indent)


def _list_item(node: Node, indent: str) -> Iterator[tuple[str, Mark | None]]:
    if _fits_one_line(node):
        yield f"{indent}- {to_yaml_line(to_python(node, record=True))}", node.origin
        return
    inside = list(_list_lines(node, indent + "  "))
    text, mark = inside[0]  # the dash replaces the indent of the first line
    yield f"{indent}- {text[len(indent) + 2 :]}", mark
    yield from inside[1:]


def _fits_one_line(node: Node) -> bool:
    if isinstance(node, SequenceNode):
        return all(isinstance(item, ScalarNode) for item in node.items)
    return isinstance(node, ScalarNode) or not node.entries


def _source(mark: Mark) -> str:
    if mark.source.startswith("default"):
        return "default"  # of what is clear from the lines above it
    return f"{mark.source}:{mark.line}" if mark.line else mark.source


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Any = _Absent()
"""The value of a key that one of the recipes does not have; None is a value."""


@final
class Difference(NamedTuple):
    """One key whose values differ; ABSENT on the side that does not have it."""

    key: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.key}: {format_value(self.left)} -> {format_value(self.right)}"


def diff(left: Recipe, right: Recipe) -> list[Difference]:
    """Return the keys in which two recipes differ, section by section; none for equal recipes."""
    a, b = _flatten(left.values), _flatten(right.values)
    sections = list(left.values)
    # a stable sort: keys of one recipe alone are listed with their section, in the order written
    keys = sorted(dict.fromkeys([*a, *b]), key=lambda key: sections.index(key.partition(".")[0]))
    pairs = [Difference(key, a.get(key, ABSENT), b.get(key, ABSENT)) for key in keys]
    return [pair for pair in pairs if not _are_equal(pair.left, pair.right)]


def format_value(value: Any) -> str:
    """Return a value as a recipe writes it, or `(absent)`."""
    return repr(value) if value is ABSENT else to_yaml_line(value)


def _flatten(value: Any, at: str = "") -> dict[str, Any]:
    """Return scalars, empty mappings and lists of scalars by their dotted keys."""
    if isinstance(value, dict) and value:
        pairs = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        pairs = {str(index): item for index, item in enumerate(value)}.items()
    else:
        return {at: value}
    found: dict[str, Any] = {}
    for key, child in pairs:
        found |= _flatten(child, f"{at}.{key}" if at else key)
    return found


def _are_equal(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)  # True == 1 == 1.0 in Python
