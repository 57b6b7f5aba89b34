"""What a reader of a stranger's file must never do, watched while it reads.

An audit hook of the interpreter sees every process started, every connection, every file that is
written, moved or removed; only the folder that the case is given may be touched.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "shutil.rmtree", "os.putenv", "os.link"),
)
CHANGES = (
    "os.chmod",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Overtime(BaseException):
    """A case took longer than it may.  No Exception, so that no reader can swallow it."""


class Watch:
    """What was done that must not be done, for one case at a time."""

    def __init__(self, allowed: str) -> None:
        self.allowed = allowed
        self.seen: list[str] = []
        self._on = False
        sys.addaudithook(self._hear)
        signal.signal(signal.SIGALRM, _overtime)
        signal.signal(signal.SIGPROF, _overtime)

    @contextmanager
    def over(self, seconds: float) -> Iterator[None]:
        """Watch a block, and raise Overtime in it after so many seconds of the processor's, or
        ten times as many of the clock's: the machine may be shared.
        """
        self.seen = []
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
        self._on = True
        try:
            yield
        finally:
            self._on = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in FORBIDDEN or (event in CHANGES and not self._own(arguments[0])):
            self.seen.append(f"{event} {arguments[0]!r}"[:120])
        elif event == "open":
            name, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and not self._own(name):
                self.seen.append(f"writes {name!r}"[:120])

    def _own(self, name: object) -> bool:
        return isinstance(name, int) or os.path.abspath(os.fsdecode(name)).startswith(self.allowed)  # type: ignore[arg-type]


def _overtime(number: int, frame: FrameType | None) -> None:
    raise Overtime
