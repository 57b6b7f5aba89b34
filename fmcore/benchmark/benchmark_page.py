"""The HTML page of a benchmark: each setting with its Pareto plots and its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from fmcore.benchmark.pareto import converged
from fmcore.benchmark.results_csv import Row
from fmcore.benchmark.run_tables import RunRow, RunsReport
from fmcore.benchmark.tables import SolversReport
from fmcore.report.charts import INK, chart_svg, tip
from fmcore.report.parts import Chart, attempt
from fmcore.report.plots.method_curves import STYLES
from fmcore.report.rendering import write_page

__all__ = ["write_benchmark_page"]

COSTS: Final = (
    ("nfe_mean", 1.0, "front_nfe", "velocity evaluations", "Error over evaluations"),
    ("seconds", 1e3, "front_seconds", "milliseconds", "Error over time"),
)
FRONT = "#9aa5af"
MAX_CHARTED_SETTINGS = 12
"""Settings with charts; with more the page is too large for a phone."""


@final
@dataclass(frozen=True)
class _SettingSection:
    """A setting: its title, table, charts and legend."""

    title: str
    rows: Sequence[Sequence[str]]
    charts: Sequence[Chart]
    entries: Sequence[tuple[str, str]]


@final
@dataclass(frozen=True)
class _RunsSection:
    """The runs of a recipe: tables, charts, legend, and notes on the numbers."""

    table: tuple[list[str], list[list[str]]]
    over_seeds: tuple[list[str], list[list[str]]] | None
    charts: Sequence[Chart]
    entries: Sequence[tuple[str, str]]
    notes: Sequence[str]


def write_benchmark_page(
    file: Path,
    report: SolversReport | None,
    *,
    title: str,
    lead: str,
    runs: RunsReport | None = None,
) -> None:
    """Write the page to `file`: the solvers of `report`, and the `runs` of a recipe."""
    omitted: list[str] = []
    settings = [] if report is None else report.settings
    write_page(
        file,
        "benchmark.html",
        "sorting.js",
        title=title,
        lead=lead,
        runs=None if runs is None else _runs(runs, omitted),
        heads=[] if report is None else report.heads(),
        settings=[
            _setting(report, place, name, rows, omitted)
            for place, (name, rows) in enumerate(settings)
            if report is not None
        ],
        refused=[
            *(() if runs is None else runs.refused),
            *(() if report is None else report.refused),
        ],
        unfinished=[] if report is None else report.unfinished,
        how="" if report is None else report.how(),
        omitted=omitted,
    )


def _runs(report: RunsReport, omitted: list[str]) -> _RunsSection:
    first = report.axes[0] if report.axes else None
    groups = dict.fromkeys(_group(row, first) for row in report.rows if not row.reason)
    colors = {group: STYLES[i % len(STYLES)][0] for i, group in enumerate(groups)}
    others = [metric for metric in report.metrics if metric != "nfe"]
    charts = []
    for place, metric in enumerate(others if "nfe" in report.metrics else ()):
        name = f"runs-{place}"
        chart = attempt(
            metric,
            lambda metric=metric, name=name: _scatter_chart(name, report, metric, first, colors),  # type: ignore[misc]
            omitted,
        )
        charts += [] if chart is None else [chart]
    return _RunsSection(
        report.table(), report.over_seeds(), charts, list(colors.items()), report.notes
    )


def _group(row: RunRow, axis: str | None) -> str:
    return "runs" if axis is None else f"{axis}={row.labels[axis]}"


def _scatter_chart(
    name: str, report: RunsReport, metric: str, axis: str | None, colors: Mapping[str, str]
) -> Chart:
    """Draw a metric over NFE, a point for each run."""

    def draw(chart: Any) -> list[str]:
        tips: list[str] = []
        for row in report.rows:
            x, y = row.value("nfe"), row.value(metric)
            if x is None or y is None or not math.isfinite(x + y):
                continue
            chart.plot([x], [y], marker="o", markersize=6, color=colors[_group(row, axis)])
            tip(chart, len(tips), x, y)
            tips.append(f"{row}: {metric} {y:.4g} at {x:.4g} NFE")
        if not tips:
            raise ValueError("no finite value")
        return tips

    return Chart(metric, "", chart_svg(name, draw, "velocity evaluations", ""), points=True)


def _setting(
    report: SolversReport, place: int, title: str, rows: Sequence[Row], omitted: list[str]
) -> _SettingSection:
    points = [row for row in rows if converged(row) and row["error_rms"] > 0]
    colors = _colors(points)
    charts = []
    for cost in COSTS if points and place < MAX_CHARTED_SETTINGS else ():
        name = f"front-{place}-{cost[0]}"
        chart = attempt(
            f"{title}: {cost[-1]}",
            lambda cost=cost, name=name: _front_chart(name, points, colors, cost),  # type: ignore[misc]
            omitted,
        )
        charts += [] if chart is None else [chart]
    entries = [*colors.items(), ("Pareto front: no other has both less cost and less error", FRONT)]
    return _SettingSection(title, report.table(rows), charts, entries)


def _colors(rows: Sequence[Row]) -> dict[str, str]:
    names = dict.fromkeys(_series(row) for row in rows)
    return {name: STYLES[i % len(STYLES)][0] for i, name in enumerate(names)}


def _series(row: Row) -> str:
    return (
        f"{row['solver']}, {row['grid']}"
        if row["grid"] not in (None, "", "auto")
        else str(row["solver"])
    )


def _front_chart(
    name: str,
    rows: Sequence[Row],
    colors: Mapping[str, str],
    cost: tuple[str, float, str, str, str],
) -> Chart:
    column, scale, front, across, title = cost

    def place(row: Row) -> tuple[float, float]:
        return scale * row[column], row["error_rms"]

    def draw(axis: Any) -> list[str]:
        best = sorted(place(row) for row in rows if row[front])
        axis.plot(*zip(*best, strict=True), color=FRONT, alpha=0.5, linewidth=6, zorder=1)
        for series in colors:
            own = sorted(place(row) for row in rows if _series(row) == series)
            axis.plot(
                *zip(*own, strict=True),
                color=colors[series],
                marker="o",
                markersize=4.5,
                linewidth=1.4,
            )
        tips: list[str] = []
        for row in rows:
            tip(axis, len(tips), *place(row))
            tips.append(_tip_text(row))
        _logarithmic(axis)
        return tips

    return Chart(title, "", chart_svg(name, draw, across, "error, RMS"), points=True)


def _tip_text(row: Row) -> str:
    budget = f"tol {row['tol']:g}" if row["tol"] is not None else ""
    parts = [
        _series(row),
        budget,
        f"{row['nfe_mean']:.4g} NFE",
        f"error {row['error_rms']:.2g}",
        f"{1e3 * row['seconds']:.3g} ms",
    ]
    return ", ".join(part for part in parts if part)


def _logarithmic(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set(xscale="log", yscale="log")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(numticks=7))
    axis.tick_params(which="both", colors=INK)
