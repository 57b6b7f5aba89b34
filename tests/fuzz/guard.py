"""Limits on one call, for readers of files that may be hostile.

An audit hook of the interpreter sees every process that is started, every connection, and every
file that is written, moved or removed. It cannot be uninstalled; outside `guarded` it does nothing.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 10.0
"""Processor time for one call."""

MEMORY = 4 << 30
"""Bytes of address space for one call, above what the process has already."""

FORBIDDEN = {
    *["os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"],
    *["socket.connect", "socket.bind", "shutil.rmtree", "os.putenv", "os.link"],
}
CHANGES = {
    *["os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"],
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Watch:
    """The forbidden events while `folder` is set; only in it may files change."""

    def __init__(self) -> None:
        self.folder = ""
        self.events: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder and not self._allows(event, arguments):
            self.events.append(f"{event} {arguments[0]!r}"[:120])

    def _allows(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            return self._owns(arguments[0])
        if event in CHANGES:
            return all(map(self._owns, arguments[: 2 if event == "os.rename" else 1]))
        return event not in FORBIDDEN

    def _owns(self, path: Any) -> bool:
        if isinstance(path, int):  # a descriptor: the hook saw it when it was opened
            return True
        return f"{os.path.abspath(os.fsdecode(path))}/".startswith(f"{self.folder}/")


_watch = _Watch()


class _Overtime(BaseException):
    """The time limit was reached. Not an Exception, so that no reader can catch it."""


@contextmanager
def guarded(folder: Path, seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Run the block in `folder`, the only place where it may change files.

    Raise AssertionError if it does anything forbidden or takes too much processor time;
    allocations beyond `memory` raise MemoryError inside it.
    """
    start, before = time.process_time(), os.getcwd()
    late = f"took over {seconds:g} s of processor time"
    os.chdir(folder)
    try:
        with _time_limit(seconds), _memory_limit(memory), _watching(folder):
            yield
    except _Overtime:
        raise AssertionError(late) from None
    finally:
        os.chdir(before)
    assert not _watch.events, "; ".join(_watch.events)
    assert time.process_time() - start < seconds, late  # no signal interrupts a C library


@contextmanager
def _watching(folder: Path) -> Iterator[None]:
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of a first import
    _watch.folder, _watch.events = str(folder.resolve()), []
    try:
        yield
    finally:
        _watch.folder, sys.dont_write_bytecode = "", bytecode


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    # Not ITIMER_REAL: pytest-timeout uses it, and it would run out on a busy machine.
    previous = signal.signal(signal.SIGPROF, _overtime)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def _overtime(number: int, frame: FrameType | None) -> None:
    raise _Overtime


@contextmanager
def _memory_limit(extra: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
