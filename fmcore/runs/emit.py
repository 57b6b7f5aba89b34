"""Where the lines of a run's log are printed."""

from __future__ import annotations

import sys

__all__ = ["to_stderr", "warnings_to_stderr"]


def to_stderr(line: str) -> None:
    """Print a line of a run's log on stderr."""
    print(line, file=sys.stderr, flush=True)


def warnings_to_stderr(line: str) -> None:
    """Print a line of a run's log on stderr if it is a warning."""
    if line.startswith("warning:"):
        to_stderr(line)
