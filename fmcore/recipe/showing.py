"""A resolved recipe as YAML, with the source of every value behind it."""

from __future__ import annotations

from collections.abc import Iterator

from fmcore.recipe.nodes import Block, Items, Leaf, Mark, Node, plain
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.writing import scalar

__all__ = ["annotated"]

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
