"""A matplotlib figure without a display, saved whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fmcore.runs.atomic import atomic

__all__ = ["figure"]


@contextmanager
def figure(
    path: Path, width: float, height: float, rows: int = 1, columns: int = 1
) -> Iterator[Any]:
    """Give the axes, `(rows, columns)`, of a new figure, and save it as PNG at `path` after."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(width, height), layout="constrained", dpi=120)
    FigureCanvasAgg(sheet)
    axes = sheet.subplots(rows, columns, squeeze=False)
    yield axes
    atomic(path, lambda part: sheet.savefig(part, format="png"))
