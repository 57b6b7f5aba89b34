"""Progress on stderr: a bar on a terminal, a line every so often elsewhere, nothing when asked to
be quiet.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "progress"]

SECONDS_BETWEEN_LINES = 10.0
BAR = 24  # letters


class Advance(Protocol):
    """Called with how far the work is, and a few words on how it goes."""

    def __call__(self, done: int, /, note: str = "") -> None:
        """Show that `done` of the total are done."""


@contextmanager
def progress(
    what: str, total: int, unit: str, done: int = 0, quiet: bool = False
) -> Iterator[Advance]:
    """Show how far `what` is on its way to `total`, begun at `done`, with rate and time left."""
    if quiet:
        yield lambda done, note="": None
    elif sys.stderr.isatty():
        with _bar(what, total, unit, done) as advance:
            yield advance
    else:
        yield _lines(what, total, unit, done)


@contextmanager
def _bar(what: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    kinds = {
        "what": TextColumn("{task.description}"),
        "bar": BarColumn(bar_width=BAR),
        "count": MofNCompleteColumn(),
        "rate": TextColumn("{task.fields[rate]}"),
        "left": TimeRemainingColumn(),
        "note": TextColumn("{task.fields[note]}"),
    }
    shown = _fitting(console.width, what, total, unit)
    columns = [column for name, column in kinds.items() if name in shown]
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done, note="", rate="")

        def advance(now: int, note: str = "") -> None:
            rate = (now - done) / max(1e-9, time.monotonic() - began)
            bar.update(task, completed=now, note=note, rate=f"{rate:.1f} {unit}/s")

        yield advance


def _fitting(width: int, what: str, total: int, unit: str) -> set[str]:
    """The parts of a bar that fit into `width` letters, chosen by what a person needs most."""
    parts = {
        "what": len(what),
        "count": 2 * len(str(total)) + 1,
        "left": len("0:00:00"),
        "note": len("loss 0.0000"),
        "rate": len(f"00000.0 {unit}/s"),
        "bar": BAR,
    }
    room, shown = width, set[str]()
    for name, letters in parts.items():
        if letters + 1 <= room:
            shown.add(name)
            room -= letters + 1
    return shown


def _lines(what: str, total: int, unit: str, done: int) -> Advance:
    began = said = time.monotonic()

    def advance(now: int, note: str = "") -> None:
        nonlocal said
        moment = time.monotonic()
        if moment - said < SECONDS_BETWEEN_LINES:
            return
        said = moment
        rate = (now - done) / (moment - began)
        left = (total - now) / max(rate, 1e-9)
        print(
            f"{what}: {now}/{total} {unit}, {rate:.1f}/s, {left:.0f} s left  {note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )

    return advance
