"""The small tables that notebooks show for recipes, runs and results."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["html_table"]

MAX_CELL = 200
"""Characters of a cell: a recipe holds lists of any length."""


def html_table(title: str, rows: Mapping[str, object]) -> str:
    """Return a table of two columns, as HTML; all text is escaped."""
    lines = [
        f"<tr><th>{escape(key)}</th><td>{_cell(value)}</td></tr>" for key, value in rows.items()
    ]
    return "\n".join([f"<table><caption>{escape(title)}</caption>", *lines, "</table>"])


def _cell(value: object) -> str:
    text = str(value)
    # cut before escaping: a cut entity would not be HTML
    return escape(text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 3]}...")
