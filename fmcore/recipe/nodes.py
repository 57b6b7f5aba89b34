"""A recipe as it is read: plain values that know where they were written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from fmcore.errors import RecipeError

__all__ = [
    "COMMAND_LINE",
    "MISSING",
    "Block",
    "Faults",
    "Items",
    "Leaf",
    "Mark",
    "Node",
    "described",
    "from_python",
    "lookup",
    "mapped",
    "plain",
    "walk",
]

MISSING = "???"
"""What a recipe writes for a value that has to be given on the command line."""


@dataclass(frozen=True)
class Mark:
    """A place: line and column of a file, both from 1, or something without lines such as the
    command line.

    >>> str(Mark("recipes/a.yaml", 7, 3)), str(Mark("command line"))
    ('recipes/a.yaml:7:3', 'command line')
    """

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


COMMAND_LINE = Mark("command line")


@dataclass(frozen=True)
class _Node:
    """`mark` is where the value stands, `key` where its key does.

    `text` is what was typed, where the schema decides what it means: on the command line and in the
    environment.
    """

    mark: Mark
    key: Mark | None = field(default=None, kw_only=True)
    text: str | None = field(default=None, kw_only=True)

    @property
    def origin(self) -> Mark:
        """The key's place, or the value's where there is no key."""
        return self.key or self.mark


@dataclass(frozen=True)
class Leaf(_Node):
    """A single value.  `literal` ones are not searched for `${...}`."""

    value: Any
    literal: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Items(_Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Block(_Node):
    """A mapping."""

    entries: Mapping[str, Node]


Node = Leaf | Items | Block


def plain(node: Node) -> Any:
    """The value without its places: dicts, lists and scalars."""
    if isinstance(node, Block):
        return {key: plain(child) for key, child in node.entries.items()}
    if isinstance(node, Items):
        return [plain(child) for child in node.items]
    return node.value


def from_python(value: Any, mark: Mark, *, literal: bool = True) -> Node:
    """Nodes for a Python value: the way back of `plain`, all at `mark`."""
    if isinstance(value, Mapping):
        entries = {str(k): from_python(v, mark, literal=literal) for k, v in value.items()}
        return Block(mark, entries)
    if isinstance(value, list | tuple):
        return Items(mark, tuple(from_python(v, mark, literal=literal) for v in value))
    return Leaf(mark, str(value) if isinstance(value, PurePath) else value, literal=literal)


def children(node: Node) -> Iterable[tuple[str, Node]]:
    """The parts of a node by name; items are named by their index."""
    if isinstance(node, Block):
        return node.entries.items()
    if isinstance(node, Items):
        return ((str(index), child) for index, child in enumerate(node.items))
    return ()


def lookup(node: Node, parts: Iterable[str]) -> Node | None:
    """The node at a path of keys and indices, or None."""
    found: Node | None = node
    for part in parts:
        if isinstance(found, Block):
            found = found.entries.get(part)
        elif isinstance(found, Items) and part.isdecimal() and len(part) < 6:
            found = found.items[int(part)] if int(part) < len(found.items) else None
        else:
            return None
    return found


def mapped(
    node: Node, change: Callable[[tuple[str, ...], Leaf], Leaf], at: tuple[str, ...] = ()
) -> Node:
    """The node with every leaf changed; `change` is told the path of keys to it."""
    if isinstance(node, Block):
        entries = {k: mapped(child, change, (*at, k)) for k, child in node.entries.items()}
        return replace(node, entries=entries)
    if isinstance(node, Items):
        items = (mapped(child, change, (*at, str(i))) for i, child in enumerate(node.items))
        return replace(node, items=tuple(items))
    return change(at, node)


def walk(node: Node, at: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every leaf with its dotted key, in the order written."""
    if isinstance(node, Leaf):
        yield at, node
    for key, child in children(node):
        yield from walk(child, f"{at}.{key}" if at else key)


@dataclass
class Faults:
    """The faults found so far, each once.

    `cause` is an exception behind one of them, for who asks for tracebacks.
    """

    found: dict[tuple[Mark, str], None] = field(default_factory=dict)
    cause: Exception | None = None

    def add(self, mark: Mark, message: str) -> None:
        """Remember a fault at a place."""
        self.found[mark, message] = None

    def __len__(self) -> int:
        return len(self.found)

    def raise_any(self) -> None:
        """Raise RecipeError with all of them, file by file and line by line, if there are any."""
        if self.found:
            told = [f"{mark}: {message}" for mark, message in self._sorted()]
            raise RecipeError(told) from self.cause

    def _sorted(self) -> list[tuple[Mark, str]]:
        sources = list(dict.fromkeys(mark.source for mark, _ in self.found))
        sources.sort(key=lambda source: source == "command line")  # stable: files first
        rank = {source: index for index, source in enumerate(sources)}
        return sorted(self.found, key=lambda f: (rank[f[0].source], f[0].line, f[0].column))


def described(node: Node) -> str:
    """What was given, for `expected ..., got ...`."""
    if isinstance(node, Block):
        return "a mapping" if node.entries else "an empty mapping"
    if isinstance(node, Items):
        return "a list" if node.items else "an empty list"
    return described_value(node.value)


def described_value(value: Any) -> str:
    """A single value and, where it could be mistaken, its type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= 60 else value[:57] + "..."
        return f"the text {json.dumps(short, ensure_ascii=False)}"
    if isinstance(value, int | float):
        return str(value) if isinstance(value, float) or abs(value) < 10**30 else "a huge number"
    return f"a {type(value).__name__}"
