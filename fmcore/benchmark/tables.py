"""The tables of a benchmark of solvers: text, Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from fmcore.benchmark.pareto import by_setting
from fmcore.benchmark.results_csv import Row
from fmcore.interfaces.problem import Status
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table
from fmcore.report.numbers import MARK

__all__ = ["HEADS", "SolversReport"]

HEADS: Final = (
    *("solver", "grid", "budget", "NFE mean", "p95", "max", "error RMS", "p95", "max", "order"),
    *("ms", "µs/NFE outside", "waits/NFE", "front"),
)

OVERHEAD_HEADS = ("µs/NFE outside", "waits/NFE", "front")
"""Columns that the LaTeX tables leave out."""


@final
@dataclass(frozen=True)
class SolversReport:
    """The rows of a benchmark with their Pareto fronts; `facts` is how they were measured."""

    rows: Sequence[Row]
    facts: Mapping[str, Any]

    @property
    def settings(self) -> list[tuple[str, list[Row]]]:
        """The rows of each setting, with a title."""
        return [(_title(own[0]), own) for _, own in by_setting(self.rows)]

    @property
    def refused(self) -> list[str]:
        """A line for every cell that could not be measured, with the reason."""
        return [f"{_name(row)}: {row['reason']}" for row in self.rows if row["reason"]]

    @property
    def unfinished(self) -> list[str]:
        """A line for every cell with samples that did not reach the end, marked in the tables."""
        return [f"{_name(row)}: {row['statuses']}" for row in self.rows if _is_unfinished(row)]

    def table(self, rows: Sequence[Row]) -> list[list[str]]:
        """Return the cells of the table under `heads`."""
        return [_cells(row) + self._metrics(row) for row in rows if not row["reason"]]

    def heads(self) -> list[str]:
        """Return HEADS, and the metrics of a run."""
        return [*HEADS, *self._metric_names()]

    def markdown(self) -> str:
        """Return a table per setting, the cells without numbers, and how it was measured."""
        parts = ["# Benchmark of solvers", self.how()]
        for title, rows in self.settings:
            parts += [f"## {title}", markdown_table(self.heads(), self.table(rows))]
        for title, lines in (
            (f"Unfinished samples ({MARK})", self.unfinished),
            ("Cells that could not be measured", self.refused),
        ):
            if lines:
                parts += [f"## {title}", "\n".join(f"* {line}" for line in lines)]
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """Return a LaTeX table per setting, without OVERHEAD_HEADS, and without the grid where all
        rows share it.  Errors on the Pareto front of NFE are bold.
        """
        tables = (self._latex(number, *each) for number, each in enumerate(self.settings, 1))
        return "\n\n".join([PREAMBLE, *tables]) + "\n"

    def json(self) -> dict[str, Any]:
        """Return all rows for other programs; infinities are text."""
        rows = [{key: _plain(value) for key, value in row.items()} for row in self.rows]
        for row in rows:
            row["metrics"] = json.loads(row["metrics"]) if row["metrics"] else {}
        return {"made": dict(self.facts), "rows": rows}

    def how(self) -> str:
        """Return the machine, the reference and the meaning of the columns."""
        machine = self.facts["machine"]
        versions = self.facts["versions"]
        names = [f"{k} {versions[k]}" for k in ("torch", "torchdiffeq", "scipy") if k in versions]
        return (
            f"{machine.get('processor') or machine['device_name']}, {machine['device']}, "
            f"{machine['threads']} thread(s), "
            f"python {versions['python']}, {', '.join(names)}. "
            f"Reference: {self.facts['reference']}. Errors are root mean squares over the elements "
            "of a sample, then over samples. Times are medians. `front`: no other row of the table "
            "has both less cost, in NFE (N) or seconds (s), and less error."
        )

    def _latex(self, number: int, title: str, rows: Sequence[Row]) -> str:
        heads, lines = self.heads(), self.table(rows)
        one_grid = len({row["grid"] for row in rows} - {None}) < 2
        left_out = {*OVERHEAD_HEADS, "grid"} if one_grid else set(OVERHEAD_HEADS)
        shown = [i for i, head in enumerate(heads) if head not in left_out]
        error, front = shown.index(heads.index("error RMS")), heads.index("front")
        bold = {(row, error) for row, line in enumerate(lines) if "N" in line[front]}
        caption = f"{title}. Bold: no other row has both fewer NFE and less error."
        if any(map(_is_unfinished, rows)):
            caption += f" {MARK}: not every sample reached the end."
        parts = [[line[i] for i in shown] for line in lines]
        return latex_table([heads[i] for i in shown], parts, caption, f"benchmark-{number}", bold)

    def _metric_names(self) -> list[str]:
        found = [json.loads(row["metrics"]) for row in self.rows if row["metrics"]]
        return list(dict.fromkeys(name for metrics in found for name in metrics))

    def _metrics(self, row: Row) -> list[str]:
        own = json.loads(row["metrics"]) if row["metrics"] else {}
        return [_number(own[n]["value"]) if n in own else "" for n in self._metric_names()]


def _name(row: Row) -> str:
    return f"{row['solver']}, {_budget(row)}, {_title(row)}"


def _title(row: Row) -> str:
    dim = "" if row["dim"] is None else f" in {row['dim']} dimensions"
    path = f" on {row['path']}" if row["path"] else ""
    batch = "" if row["batch"] == row["samples"] else f" in batches of {row['batch']}"
    seed = f", seed {row['seed']}"
    return f"{row['problem']}{dim}{path}, {row['samples']} samples{batch}, {row['dtype']}{seed}"


def _cells(row: Row) -> list[str]:
    fronts = ("N" if row["front_nfe"] else "") + ("s" if row["front_seconds"] else "")
    mark = MARK if _is_unfinished(row) else ""
    return [
        row["solver"],
        row["grid"] or "",
        _budget(row),
        *(_number(row[name]) for name in ("nfe_mean", "nfe_p95", "nfe_max")),
        *(f"{row[name]:.2g}{mark}" for name in ("error_rms", "error_p95", "error_max")),
        "" if row["order"] is None else f"{row['order']:.1f}",
        f"{1e3 * row['seconds']:.3g}",
        f"{row['us_per_nfe_outside']:.3g}",
        _number(row["waits_per_nfe"]),
        fronts,
    ]


def _is_unfinished(row: Row) -> bool:
    statuses = [part.partition(":")[0] for part in (row.get("statuses") or "").split()]
    return any(status != Status.SUCCESS.name for status in statuses)


def _budget(row: Row) -> str:
    if row["tol"] is not None:
        return f"tol {row['tol']:g}"
    return "own" if row["nfe"] is None else f"nfe {row['nfe']}"


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
