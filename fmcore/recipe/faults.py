"""Everything that is wrong with a recipe, gathered and told at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from fmcore.errors import RecipeError
from fmcore.recipe.nodes import Block, Items, Mark, Node

__all__ = ["Faults", "described"]


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
