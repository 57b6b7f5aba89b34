"""Printing for commands: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, Literal, TextIO

import click

__all__ = ["State", "complain", "folded", "mark", "print_json", "styled", "table"]

UNBROKEN = 26
"""Columns whose widest cell has at most this many letters (names, numbers) are not wrapped."""

GAP = 2
"""Spaces between columns."""

_COLORS = {"error": "red", "warning": "yellow"}

State = Literal["ok", "note", "broken"]
"""The state of an item: as it should be, absent but optional, or wrong."""

_MARKS: dict[State, tuple[str, str, str]] = {
    "ok": ("✓", "ok    ", "green"),
    "note": ("–", "-     ", "yellow"),
    "broken": ("✗", "FAILED", "red"),
}


def styled(text: str, stream: TextIO | None = None, **style: Any) -> str:
    """Return `text` in colour if `stream` (stdout) is a terminal and NO_COLOR is not set."""
    stream = sys.stdout if stream is None else stream
    plain = bool(os.environ.get("NO_COLOR")) or not stream.isatty()
    return text if plain else click.style(text, **style)


def complain(text: str, level: Literal["error", "warning"] | None = None) -> None:
    """Print a line on stderr; on a terminal it is wrapped between words."""
    lines = folded(text if level is None else f"{level}: {text}", sys.stderr)
    head = "" if level is None else f"{level}:"
    colored = styled(head, sys.stderr, fg=_COLORS[level]) if level else ""
    click.echo(f"{colored}{lines.removeprefix(head)}", err=True)


def folded(text: str, stream: TextIO | None = None, indent: int = 0) -> str:
    """Return `text`, wrapped between words if `stream` (stdout) is a terminal."""
    stream = sys.stdout if stream is None else stream
    if not stream.isatty():
        return text
    wrapper = textwrap.TextWrapper(
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * indent,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))


def mark(state: State) -> str:
    """Return a sign for a state, or a text where stdout's encoding has no such sign."""
    sign, word, color = _MARKS[state]
    try:
        sign.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        sign = word
    return styled(sign, fg=color)


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()) -> None:
    """Print columns on stdout: wrapped to a terminal, one line per row in a pipe.

    `spare` columns are left out of a terminal too narrow for them, the last first.
    """
    rows = [[_visible(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _wrapped(heads, rows, spare)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _visible(text: str) -> str:
    """Return `text` without control characters: a file's text must not command the terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _wrapped(heads: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str]) -> None:
    room = shutil.get_terminal_size().columns
    if sum(_widths(heads, rows)) > room + GAP:
        titles = [head.replace(" ", "\n") for head in heads]
    else:
        titles = list(heads)
    widths = _widths(titles, rows)
    shown, left_out = list(range(len(heads))), []
    for head in reversed(spare):
        if sum(widths[i] for i in shown) > room + GAP:
            shown.remove(heads.index(head))
            left_out.append(head)
    whole = [
        _narrowest(width, column) for width, *column in zip(widths, titles, *rows, strict=True)
    ]
    words = [_longest_word(column) for column in zip(titles, *rows, strict=True)]
    least = whole if sum(whole[i] for i in shown) <= room + GAP else words
    least = [min(width, room + GAP) for width in least]
    for number, part in enumerate(_parts(shown, least, room + GAP)):
        if number:
            click.echo()
        fitted = _fitted([widths[i] for i in part], [least[i] for i in part], room + GAP)
        _print_grid([titles[i] for i in part], [[row[i] for i in part] for row in rows], fitted)
    if left_out:
        complain(f"the terminal is too narrow for: {', '.join(reversed(left_out))}")


def _print_grid(
    titles: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        box=None, pad_edge=False, header_style="" if os.environ.get("NO_COLOR") else "bold"
    )
    for title, width in zip(titles, widths, strict=True):
        grid.add_column(title, overflow="fold", width=width - GAP)
    for row in rows:
        grid.add_row(*map(Text, row))
    Console().print(grid)


def _parts(shown: Sequence[int], least: Sequence[int], room: int) -> list[list[int]]:
    """Split columns that do not fit side by side into tables, each beginning with the first column.

    A word is never broken for want of room: numbers could not be read any more.
    """
    parts = [[shown[0]]]
    for i in shown[1:]:
        if sum(least[j] for j in parts[-1]) + least[i] > room and len(parts[-1]) > 1:
            parts.append([shown[0]])
        parts[-1].append(i)
    return parts


def _fitted(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Reduce the widest columns, one letter at a time, until all fit or none can be reduced."""
    fitted = list(widths)
    while sum(fitted) > room:
        wide = [i for i in range(len(fitted)) if fitted[i] > least[i]]
        if not wide:
            break
        fitted[max(wide, key=lambda i: fitted[i])] -= 1
    return fitted


def _narrowest(width: int, cells: Sequence[str]) -> int:
    """Return the width below which a column loses: names and numbers whole, sentences by words."""
    return width if width <= UNBROKEN + GAP else _longest_word(cells)


def _longest_word(cells: Sequence[str]) -> int:
    return GAP + max((len(word) for cell in cells for word in cell.split()), default=0)


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column, with the gap to the next; a title may have several lines."""
    lines = [max(title.split("\n"), key=len) for title in titles]
    return [GAP + max(map(len, column)) for column in zip(lines, *rows, strict=True)]
