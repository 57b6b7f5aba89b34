"""Print the progress of a sweep: a live table on a terminal, lines of text in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, final

from fmcore.runs.progress import Pace, clock

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

__all__ = ["LiveStatus", "SweepStatus", "sweep_status"]

SHOWN = 24
"""The most rows of the table: longer ones cannot be read at a glance."""

GAP = 2
"""Spaces between title and state."""

REFRESHES = 1
"""A second, so that the table of a sweep of days costs nothing."""


class SweepStatus(Protocol):
    """Shows which members of a sweep run, have ended and have failed."""

    def started(self, title: str) -> None:
        """Show that a member was started."""

    def ended(self, title: str, failure: str) -> None:
        """Show that a member has ended; `failure` is empty if it succeeded."""

    def stopping(self) -> None:
        """Show that the members that run were asked to save and end."""


@contextmanager
def sweep_status(
    total: int, *, elsewhere: bool, quiet: bool, emit: Callable[[str], None]
) -> Iterator[SweepStatus]:
    """Show the state of a sweep of `total` members: their titles, or if they are made `elsewhere`
    how many have ended and failed, and the time left.
    """
    if not elsewhere:
        yield _Titles(emit)
        return
    if not quiet and sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        if not console.is_dumb_terminal:  # such a terminal cannot move its cursor
            shown = LiveStatus(total)
            with Live(shown, console=console, refresh_per_second=REFRESHES):
                yield shown
            return
    yield _Lines(total, emit)


@final
class _Titles:
    """Prints the title of each member before its own progress."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit

    def started(self, title: str) -> None:
        self._emit(title)

    def ended(self, title: str, failure: str) -> None:
        """Nothing: the member has printed its own end."""

    def stopping(self) -> None:
        """Nothing: the member that runs in this process prints its own end."""


class _Counts:
    """Counts members."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed = total, 0, 0
        self.running: dict[str, float] = {}
        self._pace = Pace(total, 0)

    def started(self, title: str) -> None:
        self.running[title] = time.monotonic()

    def ended(self, title: str, failure: str) -> None:
        self.running.pop(title, None)
        self.done += 1
        self.failed += bool(failure)

    def summary(self) -> str:
        """Return the counts and the time left, in a line."""
        left = f", {self._pace.left(self.done)} left" if self.done < self.total else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done}/{self.total} ended{failed}{left}"


@final
class _Lines(_Counts):
    """Prints a line for each member that is started, and for each that has ended."""

    def __init__(self, total: int, emit: Callable[[str], None]) -> None:
        super().__init__(total)
        self._emit = emit

    def started(self, title: str) -> None:
        super().started(title)
        self._emit(f"started: {title}")

    def ended(self, title: str, failure: str) -> None:
        super().ended(title, failure)
        self._emit(f"{self.summary()}: {title}{' failed: ' if failure else ''}{failure}")

    def stopping(self) -> None:
        self._emit(_stopping(len(self.running)))


@final
class LiveStatus(_Counts):
    """A table for `rich.live`: failures, then the members that run, the longest first, then counts.

    Each has one line, cut to the width of the terminal, and there are at most as many lines as the
    terminal has.
    """

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._failures: list[tuple[str, str]] = []
        self._stopping = False

    def ended(self, title: str, failure: str) -> None:
        super().ended(title, failure)
        if failure:
            self._failures.append((title, failure))

    def stopping(self) -> None:
        self._stopping = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        # a copy: this is called in the drawing thread
        running = list(self.running.items())
        # one line for the counts, one for those left out, one for the cursor below
        room = max(0, min(console.height - 3, SHOWN))
        # failures stay in the results; the members that run are shown here only
        kept = max(room // 3, room - len(running))
        failures = self._failures[max(0, len(self._failures) - kept) :]
        shown = running[: room - len(failures)]
        now = time.monotonic()
        rows = [(title, f"failed: {failure}") for title, failure in failures]
        rows += [(title, clock(now - began)) for title, began in shown]
        yield from _columns(rows, options.max_width)
        if more := len(running) - len(shown):
            yield _line(Text(f"and {more} more"), options.max_width)
        last = _stopping(len(running)) if self._stopping else self.summary()
        yield _line(Text(last), options.max_width)


def _stopping(running: int) -> str:
    runs = "run saves its state" if running == 1 else "runs save their state"
    return f"stopping: {running} {runs}"


def _columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[Text]:
    """Yield a line a row.  A long failure leaves its title two thirds of the width."""
    from rich.text import Text

    titles, states = ([Text(_visible(row[i])) for row in rows] for i in (0, 1))
    longest = max((title.cell_len for title in titles), default=0)
    states_need = max((state.cell_len for state in states), default=0)
    column = min(longest, width - GAP - min(states_need, width // 3))
    for title, state in zip(titles, states, strict=True):
        title.truncate(column, overflow="ellipsis", pad=True)
        yield _line(title + Text(" " * GAP) + state, width)


def _line(text: Text, width: int) -> Text:
    """Return `text` cut to one line of the terminal."""
    text.no_wrap = True
    text.truncate(width, overflow="ellipsis")
    return text


def _visible(text: str) -> str:
    """Return `text` on one line, without characters that could command the terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
