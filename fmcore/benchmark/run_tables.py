"""The runs of a recipe's benchmark beside each other: as tables, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, final

from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table

__all__ = ["RunRow", "RunsReport"]

Table = tuple[list[str], list[list[str]]]


@final
@dataclass(frozen=True)
class RunRow:
    """A combination: its values of the axes, its results, or the reason why there are none."""

    labels: Mapping[str, str]
    folder: str
    results: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.labels.items()) or "as written"

    def value(self, metric: str) -> float | None:
        """The metric, where it was measured."""
        result = self.results.get(metric)
        return None if result is None else float(result["value"])


@final
@dataclass(frozen=True)
class RunsReport:
    """All combinations of a command; `how` says what they share."""

    axes: Sequence[str]
    rows: Sequence[RunRow]
    how: str

    @property
    def metrics(self) -> list[str]:
        """What was measured, in the recipe's order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.results))

    @property
    def refused(self) -> list[str]:
        """A line for every combination without results."""
        return [f"{row}: {row.reason}" for row in self.rows if row.reason]

    def table(self) -> Table:
        """A row for each run that was made."""
        heads = [*self.axes, *self.metrics, "training, s", "in runs/"]
        return heads, [self._cells(row) for row in self.rows if not row.reason]

    def over_seeds(self) -> Table | None:
        """Mean ± standard deviation over seeds, where there are several."""
        if "seed" not in self.axes:
            return None
        axes = [axis for axis in self.axes if axis != "seed"]
        groups: dict[tuple[str, ...], list[RunRow]] = {}
        for row in self.rows:
            if not row.reason:
                groups.setdefault(tuple(row.labels[axis] for axis in axes), []).append(row)
        rows = [
            [*labels, *(_spread(own, metric) for metric in self.metrics), str(len(own))]
            for labels, own in groups.items()
        ]
        return [*axes, *self.metrics, "seeds"], rows

    def markdown(self) -> str:
        """Both tables, combinations that cannot be with their reasons, and how it was made."""
        parts = ["# Benchmark of a recipe", self.how]
        over = self.over_seeds()
        if over is not None:
            parts += ["## Over seeds: mean ± standard deviation", markdown_table(*over)]
        parts += ["## Runs", markdown_table(*self.table())]
        if self.refused:
            listed = "\n".join(f"* {line}" for line in self.refused)
            parts += ["## Combinations that cannot be", listed]
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """The table over seeds where there is one, else that of the runs, for a paper."""
        over = self.over_seeds()
        if over is not None:
            how = f"{self.how[:-1]}; mean ± standard deviation over seeds."
            return f"{PREAMBLE}\n\n{latex_table(*over, how, 'runs')}\n"
        heads, rows = self.table()  # whose last column is for finding the folder
        made = latex_table(heads[:-1], [row[:-1] for row in rows], self.how, "runs")
        return f"{PREAMBLE}\n\n{made}\n"

    def csv(self) -> str:
        """A line for every combination, with values in full."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        measured = [column for m in self.metrics for column in (m, f"{m}_error")]
        writer.writerow([*self.axes, *measured, "train_seconds", "run", "reason"])
        for row in self.rows:
            values = [
                (row.results.get(m) or {}).get(part, "")
                for m in self.metrics
                for part in ("value", "error")
            ]
            told = [*row.labels.values(), *values, row.seconds, row.folder, row.reason]
            writer.writerow(["" if v is None else v for v in told])
        return text.getvalue()

    def json(self) -> list[dict[str, Any]]:
        """Everything, for other programs."""
        return [{**vars(row), "labels": dict(row.labels)} for row in self.rows]

    def _cells(self, row: RunRow) -> list[str]:
        seconds = "" if row.seconds is None else f"{row.seconds:.3g}"
        values = [_text(row.results.get(metric)) for metric in self.metrics]
        return [*row.labels.values(), *values, seconds, Path(row.folder).name]


def _text(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    value, error = float(result["value"]), result["error"]
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {float(error):.2g}"


def _spread(rows: Sequence[RunRow], metric: str) -> str:
    values = [value for row in rows if (value := row.value(metric)) is not None]
    if not values:
        return ""
    if not all(map(math.isfinite, values)):
        return "exploded"
    mean = f"{fmean(values):.4g}"
    return mean if len(values) < 2 else f"{mean} ± {stdev(values):.2g}"
