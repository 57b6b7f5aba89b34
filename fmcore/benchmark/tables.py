"""A benchmark as tables and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from fmcore.benchmark.pareto import by_setting
from fmcore.benchmark.results_csv import Row
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table

__all__ = ["HEADS", "Report"]

HEADS: Final = (
    *("solver", "grid", "budget", "NFE mean", "p95", "max", "error RMS", "p95", "max", "order"),
    *("ms", "µs/NFE outside", "waits/NFE", "front"),
)

OVERHEAD_HEADS = ("µs/NFE outside", "waits/NFE", "front")
"""Heads that a table for a paper leaves out."""


@final
@dataclass(frozen=True)
class Report:
    """The rows of a command, completed by `mark_pareto`; `facts` say how they were made."""

    rows: Sequence[Row]
    facts: Mapping[str, Any]

    @property
    def settings(self) -> list[tuple[str, list[Row]]]:
        """The rows of each setting, with a title of what they share."""
        return [(_title(own[0]), own) for _, own in by_setting(self.rows)]

    @property
    def refused(self) -> list[str]:
        """A line for every cell that cannot be."""
        return [
            f"{r['solver']}, {_budget(r)}, {_title(r)}: {r['reason']}"
            for r in self.rows
            if r["reason"]
        ]

    def table(self, rows: Sequence[Row]) -> list[list[str]]:
        """The lines under HEADS."""
        return [_cells(row) + self._metrics(row) for row in rows if not row["reason"]]

    def heads(self) -> list[str]:
        """HEADS, and the metrics of a run."""
        return [*HEADS, *self._metric_names()]

    def markdown(self) -> str:
        """Every setting as a table, cells that cannot be with their reasons, and how it was
        made.
        """
        parts = ["# Benchmark of solvers", self.how()]
        for title, rows in self.settings:
            parts += [f"## {title}", markdown_table(self.heads(), self.table(rows))]
        if self.refused:
            listed = "\n".join(f"* {line}" for line in self.refused)
            parts += ["## Cells that cannot be", listed]
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """Every setting as a table for a paper, without the columns of OVERHEAD_HEADS, and that of the
        grid where all share one: bold is the error of a row on the front of NFE.
        """
        tables = (self._latex(number, *each) for number, each in enumerate(self.settings, 1))
        return "\n\n".join([PREAMBLE, *tables]) + "\n"

    def json(self) -> dict[str, Any]:
        """Everything, for other programs; infinities as text."""
        rows = [{key: _plain(value) for key, value in row.items()} for row in self.rows]
        for row in rows:
            row["metrics"] = json.loads(row["metrics"]) if row["metrics"] else {}
        return {"made": dict(self.facts), "rows": rows}

    def how(self) -> str:
        """The machine, the reference, and what the columns mean."""
        machine = self.facts["machine"]
        versions = self.facts["versions"]
        names = [f"{k} {versions[k]}" for k in ("torch", "torchdiffeq", "scipy") if k in versions]
        return (
            f"{machine.get('processor') or machine['device_name']}, {machine['device']}, "
            f"{machine['threads']} thread(s), "
            f"python {versions['python']}, {', '.join(names)}. "
            f"Reference: {self.facts['reference']}. Errors are root mean squares over the elements "
            "of a sample, then over samples. Times are medians. `front`: no other row of the table "
            "is both cheaper, in NFE (N) or seconds (s), and nearer."
        )

    def _latex(self, number: int, title: str, rows: Sequence[Row]) -> str:
        heads, lines = self.heads(), self.table(rows)
        alike = len({row["grid"] for row in rows} - {None}) < 2
        left_out = {*OVERHEAD_HEADS, "grid"} if alike else set(OVERHEAD_HEADS)
        shown = [i for i, head in enumerate(heads) if head not in left_out]
        error, front = shown.index(heads.index("error RMS")), heads.index("front")
        bold = {(row, error) for row, line in enumerate(lines) if "N" in line[front]}
        caption = f"{title}. Bold: no other row is both cheaper, in NFE, and nearer."
        parts = [[line[i] for i in shown] for line in lines]
        return latex_table([heads[i] for i in shown], parts, caption, f"benchmark-{number}", bold)

    def _metric_names(self) -> list[str]:
        found = [json.loads(row["metrics"]) for row in self.rows if row["metrics"]]
        return list(dict.fromkeys(name for metrics in found for name in metrics))

    def _metrics(self, row: Row) -> list[str]:
        own = json.loads(row["metrics"]) if row["metrics"] else {}
        return [_number(own[n]["value"]) if n in own else "" for n in self._metric_names()]


def _title(row: Row) -> str:
    dim = "" if row["dim"] is None else f" in {row['dim']} dimensions"
    path = f" on {row['path']}" if row["path"] else ""
    batch = "" if row["batch"] == row["samples"] else f" in batches of {row['batch']}"
    seed = f", seed {row['seed']}"
    return f"{row['problem']}{dim}{path}, {row['samples']} samples{batch}, {row['dtype']}{seed}"


def _cells(row: Row) -> list[str]:
    fronts = ("N" if row["front_nfe"] else "") + ("s" if row["front_seconds"] else "")
    return [
        row["solver"],
        row["grid"] or "",
        _budget(row),
        *(_number(row[name]) for name in ("nfe_mean", "nfe_p95", "nfe_max")),
        *(f"{row[name]:.2g}" for name in ("error_rms", "error_p95", "error_max")),
        "" if row["order"] is None else f"{row['order']:.1f}",
        f"{1e3 * row['seconds']:.3g}",
        f"{row['us_per_nfe_outside']:.3g}",
        _number(row["waits_per_nfe"]),
        fronts,
    ]


def _budget(row: Row) -> str:
    if row["tol"] is not None:
        return f"tol {row['tol']:g}"
    return "own" if row["nfe"] is None else f"nfe {row['nfe']}"


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
