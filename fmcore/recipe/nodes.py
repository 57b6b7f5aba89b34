"""The tree of a recipe: mappings, sequences and scalars with their places in the source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from fmcore.errors import RecipeError

__all__ = [
    "COMMAND_LINE",
    "MISSING",
    "Diagnostics",
    "MappingNode",
    "Mark",
    "Node",
    "Reference",
    "ScalarNode",
    "SequenceNode",
    "children",
    "describe",
    "from_python",
    "lookup",
    "map_scalars",
    "redact",
    "to_python",
    "walk",
]

MISSING = "???"
"""The value of a required option that the recipe does not set."""

MAX_INDEX_DIGITS = 5  # int() of a long digit string is slow, and no list is that long


class Reference(str):
    """Text with `${oc.env:...}`, which values show in place of the `resolved` text.

    Printed and saved, it does not reveal the text; `create` and `load_recipe` use the text.
    """

    resolved: str

    def __new__(cls, text: str, resolved: str = "") -> Reference:
        made = super().__new__(cls, text)
        made.resolved = resolved
        return made


@dataclass(frozen=True)
class Mark:
    """A place: line and column of a file, both from 1, or a source without lines such as the
    command line.  `folder` is the absolute folder of the file, '' for other sources.

    >>> str(Mark("recipes/a.yaml", 7, 3)), str(Mark("command line"))
    ('recipes/a.yaml:7:3', 'command line')
    """

    source: str
    line: int = 0
    column: int = 0
    # not compared: two marks are equal if their messages are
    folder: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


COMMAND_LINE = Mark("command line")


@dataclass(frozen=True)
class _Node:
    """`mark` is the place of the value, `key` that of its key.

    `text` is the typed text of a value whose type the schema decides: one from the command line or
    the environment.
    """

    mark: Mark
    key: Mark | None = field(default=None, kw_only=True)
    text: str | None = field(default=None, kw_only=True)

    @property
    def origin(self) -> Mark:
        """The place of the key, or of the value where there is no key."""
        return self.key or self.mark


@dataclass(frozen=True)
class ScalarNode(_Node):
    """A single value.

    `literal` values are not searched for `${...}`.  `reference` is the text with `${oc.env:...}`
    that the value came from; messages show it instead of the value, which may be secret.
    """

    value: Any
    literal: bool = field(default=False, kw_only=True)
    reference: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class SequenceNode(_Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class MappingNode(_Node):
    """A mapping.  One that `clears` replaces the mapping that it is merged into: `{}` in YAML."""

    entries: Mapping[str, Node]
    clears: bool = field(default=False, kw_only=True)


Node = ScalarNode | SequenceNode | MappingNode


def to_python(node: Node, *, record: bool = False) -> Any:
    """Return dicts, lists and scalars: the values without their places.

    For a `record`, text from the environment is returned as its Reference.
    """
    if isinstance(node, MappingNode):
        return {key: to_python(child, record=record) for key, child in node.entries.items()}
    if isinstance(node, SequenceNode):
        return [to_python(child, record=record) for child in node.items]
    if record and node.reference is not None:
        return Reference(node.reference, node.value)
    return node.value


def from_python(value: Any, mark: Mark, *, literal: bool = True) -> Node:
    """Return the nodes of a Python value, all at `mark`: the inverse of `to_python`."""
    if isinstance(value, Mapping):
        entries = {str(k): from_python(v, mark, literal=literal) for k, v in value.items()}
        return MappingNode(mark, entries)
    if isinstance(value, list | tuple):
        return SequenceNode(mark, tuple(from_python(v, mark, literal=literal) for v in value))
    if isinstance(value, Reference):
        return ScalarNode(mark, value.resolved, literal=True, reference=str(value))
    return ScalarNode(mark, str(value) if isinstance(value, PurePath) else value, literal=literal)


def children(node: Node) -> Iterable[tuple[str, Node]]:
    """Return the children of a node by key; items are named by their index."""
    if isinstance(node, MappingNode):
        return node.entries.items()
    if isinstance(node, SequenceNode):
        return ((str(index), child) for index, child in enumerate(node.items))
    return ()


def lookup(node: Node, parts: Iterable[str]) -> Node | None:
    """Return the node at a path of keys and indices, or None."""
    found: Node | None = node
    for part in parts:
        if isinstance(found, MappingNode):
            found = found.entries.get(part)
        elif isinstance(found, SequenceNode) and (index := to_index(part)) is not None:
            found = found.items[index] if index < len(found.items) else None
        else:
            return None
    return found


def to_index(part: str) -> int | None:
    """Return the list index that a part of a key is, or None."""
    return int(part) if part.isdecimal() and len(part) <= MAX_INDEX_DIGITS else None


def map_scalars(
    node: Node,
    change: Callable[[tuple[str, ...], ScalarNode], ScalarNode],
    at: tuple[str, ...] = (),
) -> Node:
    """Return the node with `change(path of keys, scalar)` in place of every scalar."""
    if isinstance(node, MappingNode):
        entries = {k: map_scalars(child, change, (*at, k)) for k, child in node.entries.items()}
        return replace(node, entries=entries)
    if isinstance(node, SequenceNode):
        items = (map_scalars(child, change, (*at, str(i))) for i, child in enumerate(node.items))
        return replace(node, items=tuple(items))
    return change(at, node)


def walk(node: Node, at: str = "") -> Iterator[tuple[str, ScalarNode]]:
    """Yield every scalar with its dotted key, in the order written."""
    if isinstance(node, ScalarNode):
        yield at, node
    for key, child in children(node):
        yield from walk(child, f"{at}.{key}" if at else key)


@dataclass
class Diagnostics:
    """The errors found so far, each once, by place and message.

    `cause` is the exception behind one of them, shown where tracebacks are asked for.
    """

    # a dict and not a set: errors at one place keep the order in which they were found
    found: dict[tuple[Mark, str], None] = field(default_factory=dict)
    cause: Exception | None = None

    def add(self, mark: Mark, message: str) -> None:
        """Add an error at a place."""
        self.found[mark, message] = None

    def __len__(self) -> int:
        return len(self.found)

    @property
    def messages(self) -> list[str]:
        """The messages without their places, in the order found."""
        return [message for _, message in self.found]

    def raise_any(self) -> None:
        """Raise RecipeError with all errors, file by file and line by line, if there are any."""
        if self.found:
            raise RecipeError(f"{mark}: {message}" for mark, message in self._sorted()) from (
                self.cause
            )

    def _sorted(self) -> list[tuple[Mark, str]]:
        sources = list(dict.fromkeys(mark.source for mark, _ in self.found))
        sources.sort(key=lambda source: source == COMMAND_LINE.source)  # stable: files first
        rank = {source: index for index, source in enumerate(sources)}
        return sorted(self.found, key=lambda f: (rank[f[0].source], f[0].line, f[0].column))


def describe(node: Node) -> str:
    """Return what a node holds, for `expected ..., got ...`."""
    if isinstance(node, MappingNode):
        return "a mapping" if node.entries else "an empty mapping"
    if isinstance(node, SequenceNode):
        return "a list" if node.items else "an empty list"
    if node.reference is not None:
        return f"the value of {node.reference}"
    return _describe_value(node.value)


def _describe_value(value: Any) -> str:
    """Return a value as YAML writes it and, where it is ambiguous, its type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= 60 else value[:57] + "..."
        return f"the text {json.dumps(short, ensure_ascii=False)}"
    if isinstance(value, int | float):
        # str() of an int of more than 4300 digits raises ValueError
        return str(value) if isinstance(value, float) or abs(value) < 10**30 else "a huge number"
    return f"a {type(value).__name__}"


def redact(message: str, node: Node) -> str:
    """Return the message with references in place of values from the environment.

    A constructor's own message may quote the value, which may be secret.
    """
    for _, scalar in walk(node):
        if scalar.reference is not None and (value := str(scalar.value)):
            # whole words only: the value "1" must not change "10"
            quoted = scalar.reference.replace("\\", r"\\")  # as re.sub wants a replacement
            message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", quoted, message)
    return message
