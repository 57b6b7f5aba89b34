"""Recipes and overrides in one list of arguments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["split_words"]


def split_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (recipes, overrides): `key=value` is an override unless a file has that name."""
    recipes: list[str] = []
    overrides: list[str] = []
    for word in words:
        (overrides if "=" in word and not Path(word).exists() else recipes).append(word)
    return recipes, overrides
