"""How two recipes differ, key by key."""

from __future__ import annotations

from typing import Any, NamedTuple, final

from fmcore.recipe.recipe import Recipe
from fmcore.recipe.writing import scalar

__all__ = ["ABSENT", "Difference", "diff"]


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
