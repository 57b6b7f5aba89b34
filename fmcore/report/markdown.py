"""Tables as Markdown writes them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["markdown_table"]


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""A table with a line for each of `rows`; a bar inside a cell stays inside.

    >>> print(markdown_table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    | --- | --- |
    | 1 | x\|y |
    """
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_inside, line)) + " |" for line in lines)


def _inside(cell: str) -> str:
    return cell.replace("|", r"\|")
