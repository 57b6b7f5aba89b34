"""The page of a benchmark: every setting with its Pareto plots and its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from fmcore.benchmark.pareto import converged
from fmcore.benchmark.results_csv import Row
from fmcore.benchmark.run_tables import RunRow, RunsReport
from fmcore.benchmark.tables import Report
from fmcore.report.charts import INK, drawn, tip
from fmcore.report.parts import Chart, attempt
from fmcore.report.plots.panels import STYLES
from fmcore.report.rendering import write_page

__all__ = ["write_benchmark_page"]

COSTS: Final = (
    ("nfe_mean", 1.0, "front_nfe", "velocity evaluations", "Error over evaluations"),
    ("seconds", 1e3, "front_seconds", "milliseconds", "Error over time"),
)
MAX_CHARTED_SETTINGS = 12
"""Settings with charts: a page with more would not open on a telephone."""


@final
@dataclass(frozen=True)
class _Setting:
    """A setting on the page."""

    title: str
    rows: Sequence[Sequence[str]]
    charts: Sequence[Chart]
    entries: Sequence[tuple[str, str]]


@final
@dataclass(frozen=True)
class _Runs:
    """A recipe's runs on the page."""

    table: tuple[list[str], list[list[str]]]
    over_seeds: tuple[list[str], list[list[str]]] | None
    charts: Sequence[Chart]
    entries: Sequence[tuple[str, str]]


def write_benchmark_page(
    file: Path,
    report: Report | None,
    *,
    title: str,
    lead: str,
    runs: RunsReport | None = None,
) -> None:
    """Write the page to `file`: the solvers of `report`, and the `runs` of a recipe's."""
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
        how="" if report is None else report.how(),
        omitted=omitted,
    )


def _runs(report: RunsReport, omitted: list[str]) -> _Runs:
    first = report.axes[0] if report.axes else None
    kinds = dict.fromkeys(_kind(row, first) for row in report.rows if not row.reason)
    colors = {kind: STYLES[i % len(STYLES)][0] for i, kind in enumerate(kinds)}
    others = [metric for metric in report.metrics if metric != "nfe"]
    charts = []
    for place, metric in enumerate(others if "nfe" in report.metrics else ()):
        name = f"runs-{place}"
        made = attempt(
            metric,
            lambda metric=metric, name=name: _scattered(name, report, metric, first, colors),  # type: ignore[misc]
            omitted,
        )
        charts += [] if made is None else [made]
    return _Runs(report.table(), report.over_seeds(), charts, list(colors.items()))


def _kind(row: RunRow, axis: str | None) -> str:
    return "runs" if axis is None else f"{axis}={row.labels[axis]}"


def _scattered(
    name: str, report: RunsReport, metric: str, axis: str | None, colors: Mapping[str, str]
) -> Chart:
    """A metric over NFE, a point for every run."""

    def draw(chart: Any) -> list[str]:
        words: list[str] = []
        for row in report.rows:
            x, y = row.value("nfe"), row.value(metric)
            if x is None or y is None or not math.isfinite(x + y):
                continue
            chart.plot([x], [y], marker="o", markersize=6, color=colors[_kind(row, axis)])
            tip(chart, len(words), x, y)
            words.append(f"{row}: {metric} {y:.4g} at {x:.4g} NFE")
        if not words:
            raise ValueError("no finite value")
        return words

    return Chart(metric, "", drawn(name, draw, "velocity evaluations", ""), points=True)


def _setting(
    report: Report, place: int, title: str, rows: Sequence[Row], omitted: list[str]
) -> _Setting:
    points = [row for row in rows if converged(row) and row["error_rms"] > 0]
    colors = _colors(points)
    charts = []
    for cost in COSTS if points and place < MAX_CHARTED_SETTINGS else ():
        name = f"front-{place}-{cost[0]}"
        made = attempt(
            f"{title}: {cost[-1]}",
            lambda cost=cost, name=name: _chart(name, points, colors, cost),  # type: ignore[misc]
            omitted,
        )
        charts += [] if made is None else [made]
    entries = [*colors.items(), ("Pareto front: no other is both cheaper and nearer", "#9aa5af")]
    return _Setting(title, report.table(rows), charts, entries)


def _colors(rows: Sequence[Row]) -> dict[str, str]:
    names = dict.fromkeys(_series(row) for row in rows)
    return {name: STYLES[i % len(STYLES)][0] for i, name in enumerate(names)}


def _series(row: Row) -> str:
    return (
        f"{row['solver']}, {row['grid']}"
        if row["grid"] not in (None, "", "auto")
        else str(row["solver"])
    )


def _chart(
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
        axis.plot(*zip(*best, strict=True), color="#9aa5af", alpha=0.5, linewidth=6, zorder=1)
        for series in colors:
            own = sorted(place(row) for row in rows if _series(row) == series)
            axis.plot(
                *zip(*own, strict=True),
                color=colors[series],
                marker="o",
                markersize=4.5,
                linewidth=1.4,
            )
        words: list[str] = []
        for row in rows:
            tip(axis, len(words), *place(row))
            words.append(_words(row))
        _logarithmic(axis)
        return words

    return Chart(title, "", drawn(name, draw, across, "error, RMS"), points=True)


def _words(row: Row) -> str:
    budget = f"tol {row['tol']:g}" if row["tol"] is not None else ""
    told = [
        _series(row),
        budget,
        f"{row['nfe_mean']:.4g} NFE",
        f"error {row['error_rms']:.2g}",
        f"{1e3 * row['seconds']:.3g} ms",
    ]
    return ", ".join(word for word in told if word)


def _logarithmic(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set(xscale="log", yscale="log")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(numticks=7))
    axis.tick_params(which="both", colors=INK)
