"""Imports without garbage collection, which takes an eighth of the time of importing torch."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["own_process", "without_collection"]

_owned = False


def own_process() -> None:
    """State that this process ends with the command, so that its garbage may be left."""
    global _owned
    _owned = True
    atexit.register(gc.unfreeze)  # extensions report objects that are left at the end as leaks


@contextmanager
def without_collection() -> Iterator[None]:
    """Collect no garbage in this context, and not what is there at its end until the process ends.

    The half million objects of torch last as long as the process, and would be searched for garbage
    again and again.  Without effect unless `own_process` was called: a program that calls commands,
    such as a test, keeps its own rules.
    """
    if not _owned:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
