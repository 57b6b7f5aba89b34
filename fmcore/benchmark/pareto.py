"""What follows from several rows together: orders of convergence, and who is beaten by nobody."""

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
"""Rows are compared where these agree."""


def mark_pareto(rows: Sequence[Row]) -> list[Row]:
    """The rows with `order` (of their series) and with `front_nfe` and `front_seconds`: whether no
    row of the same setting is both cheaper and nearer.
    """
    orders = {name: fitted_order(own) for name, own in _grouped(rows, series_of)}
    made = []
    for _, own in by_setting(rows):
        by_nfe, by_time = front(own, "nfe_mean"), front(own, "seconds")
        for index, row in enumerate(own):
            made.append(
                {
                    **row,
                    "order": orders[series_of(row)],
                    "front_nfe": index in by_nfe,
                    "front_seconds": index in by_time,
                }
            )
    return made


def front(rows: Sequence[Row], cost: str) -> set[int]:
    """The indices of the rows that no other beats in `cost` and `error_rms`: at most as much of
    both and less of one.
    """
    points = [(r[cost], r["error_rms"]) if converged(r) else None for r in rows]
    there = [p for p in points if p is not None]
    return {
        i
        for i, p in enumerate(points)
        if p is not None and not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in there)
    }


def fitted_order(rows: Iterable[Row]) -> float | None:
    """The order p of error ~ NFE^-p by least squares of the logarithms; None below two points.

    Errors within a hundred roundings of the state are left out.
    """
    kept = [r for r in rows if r["nfe"] and converged(r) and r["error_rms"] > _rounding(r)]
    points = sorted({(math.log(r["nfe_mean"]), math.log(r["error_rms"])) for r in kept})
    if len({x for x, _ in points}) < 2:
        return None
    costs, errors = zip(*points, strict=True)
    return -statistics.linear_regression(costs, errors).slope


def converged(row: Row) -> bool:
    """Whether the cell could be measured and has a finite error."""
    return not row["reason"] and math.isfinite(row["error_rms"])


def by_setting(rows: Sequence[Row]) -> list[tuple[tuple[object, ...], list[Row]]]:
    """The rows of each setting, in order of appearance."""
    return _grouped(rows, lambda row: tuple(row[column] for column in SETTING))


def series_of(row: Row) -> tuple[object, ...]:
    """What a row shares with those that differ from it in nfe alone."""
    return (*(row[column] for column in SETTING), row["solver"], row["plugin"], row["grid"])


def _grouped(
    rows: Sequence[Row], key: Callable[[Row], tuple[object, ...]]
) -> list[tuple[tuple[object, ...], list[Row]]]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.items())


def _rounding(row: Row) -> float:
    return 100 * float(torch.finfo(getattr(torch, row["dtype"])).eps)
