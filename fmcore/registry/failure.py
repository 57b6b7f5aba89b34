"""What went wrong with a plugin, kept so that everything else can go on."""

from __future__ import annotations

import importlib
import inspect
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import pluggy

__all__ = ["Failure", "describe"]

_NOT_THEIRS = (
    "<frozen ",
    str(Path(__file__).parents[1]),
    *(str(Path(inspect.getfile(module)).parent) for module in (importlib, pluggy)),
)


@final
@dataclass(frozen=True)
class Failure:
    """A fault of one plugin; `where` is the nearest `file:line` outside fmcore, or ''."""

    plugin: str
    version: str
    error: str
    where: str = ""
    traceback: str = field(default="", repr=False)

    @classmethod
    def of(cls, plugin: str, version: str, error: BaseException) -> Failure:
        """What is worth keeping of an exception that a plugin raised."""
        text, where = describe(error)
        return cls(plugin, version, text, where, "".join(traceback.format_exception(error)))

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"plugin {self.plugin} {self.version}: {self.error}{place}"


def describe(error: BaseException) -> tuple[str, str]:
    """What was raised, in one line, and the nearest `file:line` outside fmcore, or ''."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    return (f"{name}: {message}" if message else name), _place(error)


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _foreign(f.filename)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _foreign(filename: str) -> bool:
    """Whether a frame is neither ours nor of the import and hook machinery."""
    return not filename.startswith(_NOT_THEIRS)
