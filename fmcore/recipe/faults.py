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
    """The faults found so far.  `raise_any` tells all of them, in the order of files and lines."""

    found: list[tuple[Mark, str]] = field(default_factory=list)
    cause: Exception | None = None

    def add(self, mark: Mark, message: str) -> None:
        """Remember one fault at a place; the same fault is told once."""
        if (mark, message) not in self.found:
            self.found.append((mark, message))

    def __len__(self) -> int:
        return len(self.found)

    def raise_any(self) -> None:
        """Raise RecipeError if anything was found."""
        if self.found:
            raise RecipeError(
                [f"{mark}: {message}" for mark, message in self._sorted()]
            ) from self.cause

    def _sorted(self) -> list[tuple[Mark, str]]:
        sources = list(dict.fromkeys(mark.source for mark, _ in self.found))
        sources.sort(key=lambda source: source == "command line")  # stable: files first
        return sorted(
            self.found, key=lambda f: (sources.index(f[0].source), f[0].line, f[0].column)
        )


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
