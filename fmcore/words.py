"""Where fmcore's warnings go while a command runs: to its log or its stderr, as a line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from fmcore.errors import FmcoreWarning

__all__ = ["told_to"]


@contextmanager
def told_to(say: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile `say` hears every FmcoreWarning, instead of Python's own two lines with a path."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, FmcoreWarning):
                say(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
