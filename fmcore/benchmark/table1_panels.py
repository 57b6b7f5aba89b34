"""The measurements of Table 1's figures as panels: which quantity over which."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fmcore.benchmark.results_csv import Row
from fmcore.report.plots.panels import CurvePoint, Panel

__all__ = ["FIGURES", "figure_panels", "notes_on"]

FIGURES: Final = {
    "quality-nfe": "Quality for a budget of evaluations",
    "quality-training": "Quality through training",
    "nfe-training": "Evaluations through training",
}
"""The files, and what they show."""

NFE, STEP = "velocity evaluations (NFE)", "training step"


def figure_panels(rows: Sequence[Row], distance: str) -> dict[str, list[Panel]]:
    """The panels of each figure that can be drawn; `distance` is the metric of samples, which is
    read by factors.
    """
    budgets = [row for row in rows if row["nfe"] is not None]
    stages = [row for row in rows if row["nfe"] is None]
    found = {
        "quality-nfe": [_errors(budgets), *_of_metrics(budgets, "nfe", NFE, distance)],
        "quality-training": list(_of_metrics(stages, "step", STEP, distance)),
        "nfe-training": [_costs(stages)],
    }
    drawn = {name: [p for p in panels if p.curves] for name, panels in found.items()}
    return {name: panels for name, panels in drawn.items() if panels}


def notes_on(rows: Sequence[Row]) -> list[str]:
    """A line for everything that a metric says against its numbers, and for every reason why points
    are not there, with the points.
    """
    against = [
        f"{name}: {note}"
        for row in rows
        for name, result in _results(row).items()
        for note in result.get("notes", ())
    ]
    return [*dict.fromkeys(against), *_unmeasured(rows)]


def _unmeasured(rows: Sequence[Row]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["reason"]:
            what = f"step {row['step']}" if row["nfe"] is None else f"{row['nfe']} NFE"
            point = f"{row['method']}, seed {row['seed']}, {what}"
            reasons.setdefault(row["reason"], []).append(point)
    return [f"{'; '.join(points)}: {reason}" for reason, points in reasons.items()]


def _errors(rows: Sequence[Row]) -> Panel:
    curves = _curves(rows, "nfe", lambda row: row["error_rms"])
    return Panel("error-by-nfe", "Numerical error", NFE, "error, RMS", curves, True, True)


def _costs(rows: Sequence[Row]) -> Panel:
    curves = _curves(rows, "step", lambda row: row["nfe_mean"])
    return Panel("nfe-by-step", "Evaluations of the recipe's solver", STEP, "NFE", curves)


def _of_metrics(rows: Sequence[Row], x: str, across: str, distance: str) -> Iterator[Panel]:
    for name in dict.fromkeys(name for row in rows for name in _metrics(row)):
        curves = _curves(rows, x, lambda row, name=name: _metric(row, name))  # type: ignore[misc]
        values = [v for places in curves.values() for p in places for v in p.values]
        far = name == distance and not any(value <= 0 for value in values)
        yield Panel(f"{name}-by-{x}", name, across, name, curves, x == "nfe", far)


def _metric(row: Row, name: str) -> float | None:
    """The metric; NaN if the row says why there is none, so that no mean is taken without it."""
    found = _metrics(row).get(name)
    return math.nan if found is None and row["reason"] else found


def _metrics(row: Row) -> dict[str, float]:
    return {name: float(result["value"]) for name, result in _results(row).items()}


def _results(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["metrics"]) if row["metrics"] else {}
    return found


def _curves(
    rows: Sequence[Row], x: str, value: Callable[[Row], float | None]
) -> dict[str, list[CurvePoint]]:
    """The values of each method, gathered over seeds."""
    found: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        measured = value(row)
        if measured is not None:
            found.setdefault(row["method"], {}).setdefault(row[x], []).append(measured)
    return {
        method: [CurvePoint(at, tuple(values)) for at, values in sorted(places.items())]
        for method, places in found.items()
    }
