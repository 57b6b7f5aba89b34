"""Convergence orders and Pareto fronts of a benchmark table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

import torch

from fmcore.benchmark.results_csv import Row

__all__ = [
    "SETTING",
    "by_setting",
    "converged",
    "fitted_order",
    "front",
    "mark_pareto",
    "series_of",
]

SETTING = ("problem", "dim", "path", "seed", "samples", "batch", "dtype")
"""Rows are compared where these columns agree."""


def mark_pareto(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with `order` (of their series), and with `front_nfe` and `front_seconds`:
    whether the row is on the Pareto front of error and that cost in its setting.
    """
    orders = {name: fitted_order(own) for name, own in _grouped(rows, series_of)}
    marked = []
    for _, own in by_setting(rows):
        by_nfe, by_time = front(own, "nfe_mean"), front(own, "seconds")
        for index, row in enumerate(own):
            marked.append(
                {
                    **row,
                    "order": orders[series_of(row)],
                    "front_nfe": index in by_nfe,
                    "front_seconds": index in by_time,
                }
            )
    return marked


def front(rows: Sequence[Row], cost: str) -> set[int]:
    """Return the indices of the rows that no other row dominates in `cost` and `error_rms`.

    A row dominates another if it is at most as large in both, and smaller in one.
    """
    points = [(r[cost], r["error_rms"]) if converged(r) else None for r in rows]
    finite = [p for p in points if p is not None]
    return {
        i
        for i, p in enumerate(points)
        if p is not None and not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in finite)
    }


def fitted_order(rows: Iterable[Row]) -> float | None:
    """Return the order p of error ~ NFE^-p, a least-squares fit of the logarithms; None for fewer
    than two points.

    Errors near rounding, below 100 eps, are left out.
    """
    used = [r for r in rows if r["nfe"] and converged(r) and r["error_rms"] > _rounding(r)]
    points = sorted({(math.log(r["nfe_mean"]), math.log(r["error_rms"])) for r in used})
    if len({x for x, _ in points}) < 2:
        return None
    costs, errors = zip(*points, strict=True)
    return -statistics.linear_regression(costs, errors).slope


def converged(row: Row) -> bool:
    """Return whether the cell was measured and has a finite error."""
    return not row["reason"] and math.isfinite(row["error_rms"])


def by_setting(rows: Sequence[Row]) -> list[tuple[tuple[object, ...], list[Row]]]:
    """Return the rows of each setting, in order of appearance."""
    return _grouped(rows, lambda row: tuple(row[column] for column in SETTING))


def series_of(row: Row) -> tuple[object, ...]:
    """Return the columns that agree for rows that differ only in nfe."""
    return (*(row[column] for column in SETTING), row["solver"], row["plugin"], row["grid"])


def _grouped(
    rows: Sequence[Row], key: Callable[[Row], tuple[object, ...]]
) -> list[tuple[tuple[object, ...], list[Row]]]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.items())


def _rounding(row: Row) -> float:
    # a solve accumulates rounding over its steps: near 1 eps the slope measures noise
    return 100 * float(torch.finfo(getattr(torch, row["dtype"])).eps)
