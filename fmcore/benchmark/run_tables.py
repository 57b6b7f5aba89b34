"""The tables of a recipe's benchmark: text, Markdown, LaTeX, CSV and JSON."""

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
from fmcore.report.numbers import MARK, MARK_NOTE, cell_text, is_flawed

__all__ = ["RunRow", "RunsReport", "spread_text"]

NO_METRICS = "the recipe has no metrics: add some, as in evaluate='{metrics: [nfe]}'"

Table = tuple[list[str], list[list[str]]]


@final
@dataclass(frozen=True)
class RunRow:
    """A combination: its labels, its results, or the reason why it has none."""

    labels: Mapping[str, str]
    folder: str
    results: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.labels.items()) or "as written"

    def value(self, metric: str) -> float | None:
        """Return the metric's value, or None if it was not computed."""
        result = self.results.get(metric)
        return None if result is None else float(result["value"])


@final
@dataclass(frozen=True)
class RunsReport:
    """All combinations of a benchmark; `how` is what they share."""

    axes: Sequence[str]
    rows: Sequence[RunRow]
    how: str

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the recipe's order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.results))

    @property
    def refused(self) -> list[str]:
        """A line for every combination without results, with the reason."""
        return [f"{row}: {row.reason}" for row in self.rows if row.reason]

    @property
    def notes(self) -> list[str]:
        """Why there are no metrics, or the meaning of the mark in the tables."""
        if not self.metrics and not all(row.reason for row in self.rows):
            return [NO_METRICS]
        flawed = any(is_flawed(result) for row in self.rows for result in row.results.values())
        return [MARK_NOTE] if flawed else []

    def table(self) -> Table:
        """Return heads and a row for each finished run."""
        heads = [*self.axes, *self.metrics, "training, s", "in runs/"]
        return heads, [self._cells(row) for row in self.rows if not row.reason]

    def over_seeds(self) -> Table | None:
        """Return mean ± standard deviation over seeds; None if there is only one seed."""
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
        """Return both tables, the combinations without results, and how they were made."""
        parts = ["# Benchmark of a recipe", self.how]
        over = self.over_seeds()
        if over is not None:
            parts += ["## Over seeds: mean ± standard deviation", markdown_table(*over)]
        parts += ["## Runs", markdown_table(*self.table()), *self.notes]
        if self.refused:
            listed = "\n".join(f"* {line}" for line in self.refused)
            parts += ["## Combinations without results", listed]
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """Return the table over seeds if there are several, else that of the runs, as LaTeX."""
        over = self.over_seeds()
        if over is not None:
            how = f"{self.how[:-1]}; mean ± standard deviation over seeds."
            return f"{PREAMBLE}\n\n{latex_table(*over, how, 'runs')}\n"
        heads, rows = self.table()
        # without the last column, the name of the folder
        table = latex_table(heads[:-1], [row[:-1] for row in rows], self.how, "runs")
        return f"{PREAMBLE}\n\n{table}\n"

    def csv(self) -> str:
        """Return a line for every combination, with unrounded values."""
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
            line = [*row.labels.values(), *values, row.seconds, row.folder, row.reason]
            writer.writerow(["" if v is None else v for v in line])
        return text.getvalue()

    def json(self) -> list[dict[str, Any]]:
        """Return all rows for other programs."""
        return [{**vars(row), "labels": dict(row.labels)} for row in self.rows]

    def _cells(self, row: RunRow) -> list[str]:
        seconds = "" if row.seconds is None else f"{row.seconds:.3g}"
        values = [cell_text(row.results.get(metric)) for metric in self.metrics]
        return [*row.labels.values(), *values, seconds, Path(row.folder).name]


def _spread(rows: Sequence[RunRow], metric: str) -> str:
    return spread_text([row.results[metric] for row in rows if metric in row.results])


def spread_text(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the mean ± standard deviation of a metric over seeds, marked if one is flawed.

    A mean over seeds of which one is not finite would hide that seed: the text is `exploded`.
    """
    values = [float(result["value"]) for result in results]
    if not values:
        return ""
    if not all(map(math.isfinite, values)):
        return "exploded"
    mark = MARK if any(map(is_flawed, results)) else ""
    deviation = f" ± {stdev(values):.2g}" if len(values) > 1 else ""
    return f"{fmean(values):.4g}{deviation}{mark}"
