"""A lock between processes: one writer for a folder, released by the system when it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fmcore.errors import RunError
from fmcore.runs.files import opened_for_adding, writable

__all__ = ["locked"]


@contextmanager
def locked(file: Path, busy: str, wait: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `file`, created if needed, inside this context.

    Raises RunError with the text `busy` if another process holds it, unless `wait`.
    """
    with ExitStack() as held:
        with writable(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = held.enter_context(opened_for_adding(file))
        try:
            # flock, not a file that exists: the system releases it even after a kill -9
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise RunError(busy) from error
        yield
