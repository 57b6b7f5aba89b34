"""Progress on stderr: a bar on a terminal, a line every so often elsewhere, nothing when asked to
be quiet.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, final

__all__ = ["Advance", "Pace", "progress"]

SECONDS_BETWEEN_LINES = 10.0
BAR = 24  # letters


class Advance(Protocol):
    """Called with how far the work is, and a few words on how it goes."""

    def __call__(self, done: int, /, note: str = "") -> None:
        """Show that `done` of the total are done."""


@final
class Pace:
    """How fast the work goes, and how long the rest takes at that speed.

    What was `done` before this process began does not count: a resumed run is not a fast one.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self._began = time.monotonic()

    def rate(self, now: int) -> float:
        """Units a second."""
        return (now - self._done) / max(1e-9, time.monotonic() - self._began)

    def speed(self, now: int) -> str:
        """The rate in three digits or more."""
        rate = self.rate(now)
        return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"

    def left(self, now: int) -> str:
        """The time to the end, `m:ss` or `h:mm:ss`; `?` while nothing is known."""
        rate = self.rate(now)
        if rate <= 0:
            return "?"
        minutes, seconds = divmod(round((self._total - now) / rate), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


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
    )

    console = Console(stderr=True)
    kinds = {
        "what": TextColumn("{task.description}"),
        "bar": BarColumn(bar_width=BAR),
        "count": MofNCompleteColumn(),
        "rate": TextColumn("{task.fields[rate]}"),
        "left": TextColumn("{task.fields[left]}"),
        "note": TextColumn("{task.fields[note]}"),
    }
    shown = _fitting(console.width, what, total, unit)
    columns = [column for name, column in kinds.items() if name in shown]
    pace = Pace(total, done)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done, note="", rate="", left="")

        def advance(now: int, note: str = "") -> None:
            rate, left = f"{pace.speed(now)} {unit}/s", f"{pace.left(now)} left"
            bar.update(task, completed=now, note=note, rate=rate, left=left)

        yield advance


def _fitting(width: int, what: str, total: int, unit: str) -> set[str]:
    """The parts of a bar that fit into `width` letters, chosen by what a person needs most."""
    parts = {
        "what": len(what),
        "count": 2 * len(str(total)) + 1,
        "left": len("0:00:00 left"),
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
    pace, said = Pace(total, done), time.monotonic()

    def advance(now: int, note: str = "") -> None:
        nonlocal said
        moment = time.monotonic()
        if moment - said < SECONDS_BETWEEN_LINES:
            return
        said = moment
        told = f"{what}: {now}/{total} {unit}, {pace.speed(now)}/s, {pace.left(now)} left"
        print(f"{told}  {note}".rstrip(), file=sys.stderr, flush=True)

    return advance
