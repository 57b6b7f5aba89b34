"""Recipes and overrides given in one row of words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["sorted_out"]


def sorted_out(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """(recipes, overrides): `key=value` is an override unless there is a file of that name."""
    recipes: list[str] = []
    overrides: list[str] = []
    for word in words:
        (overrides if "=" in word and not Path(word).exists() else recipes).append(word)
    return recipes, overrides
