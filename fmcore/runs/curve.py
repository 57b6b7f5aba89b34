"""The training curve: JSON lines, one every few steps, exactly those up to the step reached.

What was measured while training stands in lines of its own, under `evaluate/NAME`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

from fmcore.runs.atomic import writable, write_text

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
        with writable(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines; a last one torn by a crash is left out."""
        if not self.path.exists():
            return []
        found = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`: the steps that are taken again log themselves."""
        kept = [line for line in self.lines() if line["step"] <= step]
        if self.path.exists():
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
