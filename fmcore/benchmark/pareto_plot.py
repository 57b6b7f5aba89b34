"""The plot of a benchmark: error over NFE and over seconds, a column per setting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmcore.benchmark.pareto import converged
from fmcore.benchmark.results_csv import Row
from fmcore.benchmark.tables import SolversReport
from fmcore.report.plots.pareto_panels import MAX_PANELS, Panel, save_pareto_panels

__all__ = ["save_pareto_plot"]

_COSTS = (
    ("velocity evaluations per sample", "nfe_mean", "front_nfe"),
    ("milliseconds", "milliseconds", "front_seconds"),
)


def save_pareto_plot(file: Path, report: SolversReport) -> bool:
    """Draw the first settings of `report`; return False, without a file, if none is drawable."""
    settings = []
    for title, rows in report.settings:
        drawable = [row for row in rows if converged(row) and row["error_rms"] > 0]
        if drawable:
            settings.append((title, drawable))
    if not settings:
        return False
    shown = settings[:MAX_PANELS]
    save_pareto_panels(
        file,
        [
            (label, [_panel(title, rows, cost, front) for title, rows in shown])
            for label, cost, front in _COSTS
        ],
    )
    return True


def _panel(title: str, rows: Sequence[Row], cost: str, front: str) -> Panel:
    several = len({(row["solver"], row["grid"]) for row in rows}) > len(
        {row["solver"] for row in rows}
    )
    series: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: row["nfe_mean"]):
        name = f"{row['solver']}, {row['grid']}" if several and row["grid"] else row["solver"]
        series.setdefault(name, []).append(_point(row, cost))
    best = [_point(row, cost) for row in rows if row[front]]
    return title.replace(", ", "\n", 1), list(series.items()), best


def _point(row: Row, cost: str) -> tuple[float, float]:
    return 1e3 * row["seconds"] if cost == "milliseconds" else row[cost], row["error_rms"]
