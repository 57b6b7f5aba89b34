"""A lock between processes, which the system releases when its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fmcore.errors import RunError
from fmcore.runs.files import opened_for_adding, writable

__all__ = ["locked"]


@contextmanager
def locked(file: Path, busy: str, wait: bool = False, remove: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `file`, created if needed, inside this context.

    Raises RunError with the text `busy` if another process holds it, unless `wait`.  `remove`
    deletes the file at the end.
    """
    while True:
        with ExitStack() as held:
            with writable(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                handle = held.enter_context(opened_for_adding(file))
            try:
                # flock, not the presence of a file: the system releases it even after kill -9
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise RunError(busy) from error
            if not _is_same(file, handle.fileno()):
                continue  # its last holder removed the file meanwhile: lock the new one
            try:
                yield
            finally:
                if remove:
                    file.unlink(missing_ok=True)
            return


def _is_same(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
