"""The training curve: one JSON object a line, for the steps up to the newest checkpoint.

Results measured during training are lines of their own, under `evaluate/NAME`.  Each line carries
its own checksum as `crc32`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from fmcore.runs.files import opened_for_adding, writable, write_text

__all__ = ["MEASURED", "Curve"]

MEASURED = "evaluate/"
"""The prefix of results measured during training."""

CRC = "crc32"


def _ignore(line: str) -> None:
    """Drop a warning."""


@final
class Curve:
    """The lines of metrics.jsonl; `warn` is called with a line if some of them are corrupt."""

    def __init__(self, path: Path, warn: Callable[[str], None] = _ignore) -> None:
        self.path = path
        self.warn = warn

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        with writable(self.path), opened_for_adding(self.path) as stream:
            stream.write(_text(line).encode())

    def lines(self) -> list[dict[str, Any]]:
        """Return the valid lines, without their checksums.

        Corrupt lines are left out with a warning, a last line cut off by a crash without.
        """
        if not self.path.is_file():
            return []
        texts = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        found = [_line_in(text) for text in texts]
        # a crash while appending leaves a last line without its newline: nothing was damaged
        complete = found if not texts or texts[-1].endswith("\n") else found[:-1]
        if corrupt := complete.count(None):
            self.warn(f"warning: {self.path}: {corrupt} corrupt lines are left out")
        return [line for line in found if line is not None]

    def rewind(self, step: int) -> None:
        """Remove the lines after `step`: a resumed training logs those steps again."""
        kept = [line for line in self.lines() if line["step"] <= step]
        if self.path.exists():
            write_text(self.path, "".join(map(_text, kept)))


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps({**line, CRC: _crc(line)}) + "\n"


def _crc(line: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(dict(line), sort_keys=True).encode()):08x}"


def _line_in(text: str) -> dict[str, Any] | None:
    """Return the object in a line; None if it is no object with a step, or its checksum differs."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or type(line.get("step")) is not int:
        return None
    checksum = line.pop(CRC, None)
    return line if checksum is None or checksum == _crc(line) else None
