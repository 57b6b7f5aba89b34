"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere, nothing if quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, final

__all__ = ["Advance", "Pace", "clock", "progress"]

SECONDS_BETWEEN_LINES = 10.0
BAR = 24
"""The width of the bar, in letters."""


class Advance(Protocol):
    """Called after each unit of work; it draws only every so often, so calling it is cheap."""

    def __call__(self, done: int, /, note: str = "") -> None:
        """Show that `done` of the total are done; the last `note` that is not empty is shown."""


@final
class Pace:
    """The rate of the work, and the time left at that rate.

    Units that were `done` before this process began do not count towards the rate.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self._began = time.monotonic()

    def rate(self, now: int) -> float:
        """Return the units per second."""
        return (now - self._done) / max(1e-9, time.monotonic() - self._began)

    def speed(self, now: int) -> str:
        """Return the rate with at least three digits."""
        rate = self.rate(now)
        return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"

    def left(self, now: int) -> str:
        """Return the time left, `m:ss` or `h:mm:ss`; `?` before the first unit."""
        rate = self.rate(now)
        if rate <= 0:
            return "?"
        return clock((self._total - now) / rate)


def clock(seconds: float) -> str:
    """Return a duration as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress(
    what: str, total: int, unit: str, done: int = 0, quiet: bool = False
) -> Iterator[Advance]:
    """Show the progress of `what` from `done` to `total` units, with rate and time left."""
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
        ProgressColumn,
        Task,
        TextColumn,
    )
    from rich.text import Text

    pace = Pace(total, done)

    class Computed(ProgressColumn):
        """A column computed when it is drawn, ten times a second, not at each call."""

        def __init__(self, text: Callable[[int], str]) -> None:
            super().__init__()
            self.text = text

        def render(self, task: Task) -> Text:
            return Text(self.text(int(task.completed)))

    console = Console(stderr=True)
    kinds = {
        "what": TextColumn("{task.description}"),
        "bar": BarColumn(bar_width=BAR),
        "count": MofNCompleteColumn(),
        "rate": Computed(lambda now: f"{pace.speed(now)} {unit}/s"),
        "left": Computed(lambda now: f"{pace.left(now)} left"),
        "note": TextColumn("{task.fields[note]}"),
    }
    shown = _fitting(console.width, what, total, unit)
    columns = [column for name, column in kinds.items() if name in shown]
    with Progress(*columns, console=console, transient=True) as bar:
        number = bar.add_task(what, total=total, completed=done, note="")
        task = bar.tasks[number]

        def advance(now: int, note: str = "") -> None:
            # plain assignments, which the drawing thread picks up: this is called at every step
            task.completed = now
            task.fields["note"] = note or task.fields["note"]

        yield advance


def _fitting(width: int, what: str, total: int, unit: str) -> set[str]:
    """Return the parts of a bar that fit into `width` letters, the most useful ones first."""
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
    pace, printed, last = Pace(total, done), time.monotonic(), ""

    def advance(now: int, note: str = "") -> None:
        nonlocal printed, last
        last = note or last
        moment = time.monotonic()
        if moment - printed < SECONDS_BETWEEN_LINES:
            return
        printed = moment
        line = f"{what}: {now}/{total} {unit}, {pace.speed(now)}/s, {pace.left(now)} left"
        print(f"{line}  {last}".rstrip(), file=sys.stderr, flush=True)

    return advance
