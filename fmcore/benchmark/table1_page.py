"""The page of Table 1: the table, and the figures with the numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.report.charts import drawn, tip
from fmcore.report.parts import Chart, attempt
from fmcore.report.plots.panels import Panel, Style, draw_panel
from fmcore.report.rendering import write_page

__all__ = ["Table", "write_table1_page"]

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""


@final
@dataclass(frozen=True)
class _Section:
    """A figure on the page."""

    name: str
    title: str
    caption: str
    charts: Sequence[Chart]
    tables: Sequence[tuple[str, Table]]


def write_table1_page(
    file: Path,
    *,
    title: str,
    table: Table,
    how: str,
    failures: Sequence[str],
    figures: Sequence[tuple[str, str, Sequence[tuple[Panel, Table]]]],
    names: Mapping[str, str],
    styles: Mapping[str, Style],
    notes: Sequence[str],
) -> None:
    """Write the page to `file`.

    A figure is a title, a caption, and panels with their numbers; `names` and `styles` are of the
    methods.
    """
    omitted: list[str] = []
    write_page(
        file,
        "table1.html",
        "sorting.js",
        title=title,
        table=table,
        how=how,
        failures=failures,
        figures=[
            _section(place, *figure, names, styles, omitted) for place, figure in enumerate(figures)
        ],
        entries=[(name, styles[method][0]) for method, name in names.items()],
        notes=notes,
        omitted=omitted,
    )


def _section(
    place: int,
    title: str,
    caption: str,
    panels: Sequence[tuple[Panel, Table]],
    names: Mapping[str, str],
    styles: Mapping[str, Style],
    omitted: list[str],
) -> _Section:
    charts = []
    for number, (panel, _) in enumerate(panels):
        name = f"figure-{place}-{number}"
        made = attempt(
            panel.title,
            lambda panel=panel, name=name: _chart(name, panel, names, styles),  # type: ignore[misc]
            omitted,
        )
        charts += [] if made is None else [made]
    tables = [(f"{panel.title}, by {panel.across}", numbers) for panel, numbers in panels]
    return _Section(f"figure-{place}", title, caption, charts, tables)


def _chart(name: str, panel: Panel, names: Mapping[str, str], styles: Mapping[str, Style]) -> Chart:
    def draw(axis: Any) -> list[str]:
        draw_panel(axis, panel, styles)
        words: list[str] = []
        for method, places in panel.curves.items():
            for place in places:
                if place.mean is not None:
                    tip(axis, len(words), place.x, place.mean)
                    words.append(f"{names[method]}: {place} at {panel.across} {place.x:g}")
        return words

    return Chart(panel.title, "", drawn(name, draw, panel.across, ""), points=True)
