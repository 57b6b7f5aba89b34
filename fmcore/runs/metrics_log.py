"""The training curve: JSON lines, one every few steps, exactly those up to the step reached.

What was measured while training stands in lines of its own, under `evaluate/NAME`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

from fmcore.runs.files import opened_for_adding, writable, write_text

__all__ = ["MEASURED", "Curve"]

MEASURED = "evaluate/"
"""What the names of measurements begin with."""


@final
class Curve:
    """The lines of metrics.jsonl."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: dict[str, Any]) -> None:
        """Add a line."""
        with writable(self.path), opened_for_adding(self.path) as stream:
            stream.write(f"{json.dumps(line)}\n".encode())

    def lines(self) -> list[dict[str, Any]]:
        """All lines that say of which step they are; one torn by a crash is left out."""
        if not self.path.is_file():
            return []
        found = []
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict) and type(line.get("step")) is int:
                found.append(line)
        return found

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`: the steps that are taken again log themselves."""
        kept = [line for line in self.lines() if line["step"] <= step]
        if self.path.exists():
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
