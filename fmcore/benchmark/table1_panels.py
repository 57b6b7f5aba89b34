"""The panels of Table 1's figures, built from their measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fmcore.benchmark.results_csv import Row
from fmcore.report.plots.method_curves import CurvePoint, Panel

__all__ = ["FIGURES", "figure_panels", "notes_on"]

FIGURES: Final = {
    "quality-nfe": "Quality by number of evaluations",
    "quality-training": "Quality during training",
    "nfe-training": "Evaluations during training",
}
"""The title of each figure, by file name."""

NFE, STEP = "velocity evaluations (NFE)", "training step"


def figure_panels(rows: Sequence[Row], distance: str) -> dict[str, list[Panel]]:
    """Return the panels of each figure that has curves; `distance`, the metric of samples, gets a
    logarithmic axis.
    """
    budgets = [row for row in rows if row["nfe"] is not None]
    stages = [row for row in rows if row["nfe"] is None]
    found = {
        "quality-nfe": [_errors(budgets), *_of_metrics(budgets, "nfe", NFE, distance)],
        "quality-training": list(_of_metrics(stages, "step", STEP, distance)),
        "nfe-training": [_costs(stages)],
    }
    with_curves = {name: [p for p in panels if p.curves] for name, panels in found.items()}
    return {name: panels for name, panels in with_curves.items() if panels}


def notes_on(rows: Sequence[Row]) -> list[str]:
    """Return a line for every note of a metric on its values, and for every reason why points are
    missing, with the points.
    """
    notes = [
        f"{name}: {note}"
        for row in rows
        for name, result in _results(row).items()
        for note in result.get("notes", ())
    ]
    return [*dict.fromkeys(notes), *_unmeasured(rows)]


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
        log_y = name == distance and not any(value <= 0 for value in values)
        yield Panel(f"{name}-by-{x}", name, across, name, curves, x == "nfe", log_y)


def _metric(row: Row, name: str) -> float | None:
    """Return the metric; NaN if the row has a reason instead, so that the mean is not finite."""
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
    """Return the points of each method, with the values of all seeds."""
    found: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        number = value(row)
        if number is not None:
            found.setdefault(row["method"], {}).setdefault(row[x], []).append(number)
    return {
        method: [CurvePoint(at, tuple(values)) for at, values in sorted(places.items())]
        for method, places in found.items()
    }
