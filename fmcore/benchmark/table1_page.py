"""The HTML page of Table 1: the table, and the figures with their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.report.charts import chart_svg, tip
from fmcore.report.parts import Chart, attempt
from fmcore.report.plots.method_curves import Panel, Style, draw_panel
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
    warnings: Sequence[str],
    figures: Sequence[tuple[str, str, Sequence[tuple[Panel, Table]]]],
    names: Mapping[str, str],
    styles: Mapping[str, Style],
    notes: Sequence[str],
) -> None:
    """Write the page to `file`.

    A figure is a title, a caption, and panels with their numbers.  `names` and `styles` are those
    of the methods.
    """
    omitted: list[str] = []
    write_page(
        file,
        "table1.html",
        "sorting.js",
        title=title,
        table=table,
        how=how,
        warnings=warnings,
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
        chart = attempt(
            panel.title,
            lambda panel=panel, name=name: _chart(name, panel, names, styles),  # type: ignore[misc]
            omitted,
        )
        charts += [] if chart is None else [chart]
    tables = [(f"{panel.title}, by {panel.across}", numbers) for panel, numbers in panels]
    return _Section(f"figure-{place}", title, caption, charts, tables)


def _chart(name: str, panel: Panel, names: Mapping[str, str], styles: Mapping[str, Style]) -> Chart:
    def draw(axis: Any) -> list[str]:
        draw_panel(axis, panel, styles)
        tips: list[str] = []
        for method, points in panel.curves.items():
            for point in points:
                if point.mean is not None:
                    tip(axis, len(tips), point.x, point.mean)
                    tips.append(f"{names[method]}: {point} at {panel.across} {point.x:g}")
        return tips

    return Chart(panel.title, "", chart_svg(name, draw, panel.across, ""), points=True)
