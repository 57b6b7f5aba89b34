"""A matplotlib figure without a display, saved atomically."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fmcore.runs.files import atomic

__all__ = ["figure"]

_TIMELESS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
"""Metadata without dates, so that the same numbers give the same bytes."""


@contextmanager
def figure(
    path: Path,
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    kinds: Sequence[str] = ("png",),
    dpi: int = 120,
) -> Iterator[Any]:
    """Yield the axes, `(rows, columns)`, of a new figure; then save it at `path`, once with the
    suffix of each of `kinds`.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    FigureCanvasAgg(sheet)
    axes = sheet.subplots(rows, columns, squeeze=False)
    yield axes
    with matplotlib.rc_context({"svg.hashsalt": "fmcore"}):
        for kind in kinds:
            more = _TIMELESS.get(kind, {})
            atomic(
                path.with_suffix(f".{kind}"),
                lambda part, kind=kind, more=more: sheet.savefig(part, format=kind, **more),  # type: ignore[misc]
            )
