"""Print the progress of a sweep: a live table on a terminal, lines of text in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, final

from fmcore.runs.progress import Pace

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["SweepStatus", "sweep_status"]

SHOWN = 12
"""Rows of running members in the table, which must fit a terminal."""

REFRESHES = 1
"""A second, so that the table of a sweep of days costs nothing."""


class SweepStatus(Protocol):
    """Shows which members of a sweep run, have ended and have failed."""

    def started(self, title: str) -> None:
        """Show that a member was started."""

    def ended(self, title: str, failure: str) -> None:
        """Show that a member has ended; `failure` is empty if it succeeded."""


@contextmanager
def sweep_status(
    total: int, *, elsewhere: bool, quiet: bool, emit: Callable[[str], None]
) -> Iterator[SweepStatus]:
    """Show the state of a sweep of `total` members: their titles, or if they are made `elsewhere`
    how many have ended and failed, and the time left.
    """
    if not elsewhere:
        yield _Titles(emit)
    elif quiet or not sys.stderr.isatty():
        yield _Lines(total, emit)
    else:
        from rich.console import Console
        from rich.live import Live

        shown = _Live(total)
        console = Console(stderr=True)
        with Live(get_renderable=shown.table, console=console, refresh_per_second=REFRESHES):
            yield shown


@final
class _Titles:
    """Prints the title of each member before its own progress."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit

    def started(self, title: str) -> None:
        self._emit(title)

    def ended(self, title: str, failure: str) -> None:
        """Nothing: the member has printed its own end."""


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


@final
class _Live(_Counts):
    """A table of the members that run, the longest first, above the counts."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._failures: list[tuple[str, str]] = []

    def ended(self, title: str, failure: str) -> None:
        super().ended(title, failure)
        if failure:
            self._failures.append((title, " ".join(failure.split())))

    def table(self) -> Table:
        """Return the table as it is now."""
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=None, pad_edge=False, caption=self.summary(), caption_justify="left")
        grid.add_column("run", overflow="fold")
        grid.add_column("state", overflow="ellipsis", no_wrap=True)
        for title, failure in self._failures[-SHOWN:]:
            grid.add_row(Text(title), Text(f"failed: {failure}"))
        # a copy: this is called in the drawing thread
        running = list(self.running.items())
        for title, began in running[:SHOWN]:
            grid.add_row(Text(title), Text(f"{time.monotonic() - began:.0f} s"))
        if len(running) > SHOWN:
            grid.add_row(Text(f"and {len(running) - SHOWN} more"), Text(""))
        return grid
