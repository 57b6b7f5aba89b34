"""The failure of one plugin, which does not affect the others."""

from __future__ import annotations

import importlib
import inspect
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import pluggy

__all__ = ["Failure", "describe"]

# frames of the import system, of fmcore and of pluggy do not show where a plugin failed
_INTERNAL = (
    "<frozen ",
    str(Path(__file__).parents[1]),
    *(str(Path(inspect.getfile(module)).parent) for module in (importlib, pluggy)),
)


@final
@dataclass(frozen=True)
class Failure:
    """An error of one plugin; `where` is the innermost `file:line` outside fmcore, or ''."""

    plugin: str
    version: str
    error: str
    where: str = ""
    traceback: str = field(default="", repr=False)

    @classmethod
    def of(cls, plugin: str, version: str, error: BaseException) -> Failure:
        """Return the failure for an exception that a plugin raised."""
        text, where = describe(error)
        return cls(plugin, version, text, where, "".join(traceback.format_exception(error)))

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"plugin {self.plugin} {self.version}: {self.error}{place}"


def describe(error: BaseException) -> tuple[str, str]:
    """Return the exception in one line, and the innermost `file:line` outside fmcore, or ''."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    return (f"{name}: {message}" if message else name), _find_place(error)


def _find_place(error: BaseException) -> str:
    # a syntax error is raised by the import system, in no frame of the plugin
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_external(f.filename)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _is_external(filename: str) -> bool:
    return not filename.startswith(_INTERNAL)
