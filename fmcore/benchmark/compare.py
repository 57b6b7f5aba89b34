"""Runs beside each other, without putting unlike numbers in one column.

Two results are alike if they were made alike: their provenance agrees in all but what a comparison
is about (which path, which weights of training) and what a fair one may vary (seed, device).
Where it does not, a metric gets a column for each way of measuring, and a line says what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from fmcore.recipe.diff import ABSENT, diff
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table
from fmcore.runs.folder import RunFolder

__all__ = ["Column", "Comparison", "compare"]

MAY_DIFFER = ("path", "seed", "step", "device")
"""What runs that are compared may differ in without their numbers becoming unlike."""


@final
@dataclass(frozen=True)
class Column:
    """One metric, measured in one way; `cells` by run, the results as results.json holds them."""

    metric: str
    way: Mapping[str, Any]
    cells: Mapping[str, Mapping[str, Any]]


@final
@dataclass(frozen=True)
class Comparison:
    """The runs, what tells their recipes apart, a column for each metric and way, and `reasons`:
    a line for every metric that had to be split.
    """

    runs: Sequence[str]
    settings: Mapping[str, Mapping[str, Any]]
    columns: Sequence[Column]
    reasons: Sequence[str]

    def headings(self) -> list[str]:
        """The names of the columns; those of a split metric are numbered."""
        several = [c.metric for c in self.columns]
        counts: dict[str, int] = {}
        names = []
        for column in self.columns:
            counts[column.metric] = counts.get(column.metric, 0) + 1
            split = several.count(column.metric) > 1
            names.append(f"{column.metric} [{counts[column.metric]}]" if split else column.metric)
        return names

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The heads of all columns, and the rows."""
        return ["run", *self.settings, *self.headings()], self.rows()

    def rows(self) -> list[list[str]]:
        """A row of text for every run: its name, its settings, its numbers."""
        return [
            [
                run,
                *(str(values.get(run, "")) for values in self.settings.values()),
                *(_text(column.cells.get(run)) for column in self.columns),
            ]
            for run in self.runs
        ]

    def markdown(self) -> str:
        """The comparison as a table for a page, with the reasons below."""
        return "\n\n".join([markdown_table(*self.table()), *self.reasons]) + "\n"

    def latex(self) -> str:
        """The comparison as a table for a paper, with the reasons as its caption."""
        caption = ". ".join(["Results", *self.reasons, ""]).strip()
        return f"{PREAMBLE}\n\n{latex_table(*self.table(), caption, 'comparison')}\n"


def compare(folders: Sequence[RunFolder]) -> Comparison:
    """Put the results of `folders` beside each other."""
    runs = {str(folder.root): folder for folder in folders}
    results = {name: folder.results() for name, folder in runs.items()}
    metrics = dict.fromkeys(metric for found in results.values() for metric in found)
    columns = [column for metric in metrics for column in _columns(metric, results)]
    reasons = [line for metric in metrics for line in _reasons(metric, columns)]
    return Comparison(list(runs), _settings(runs), columns, reasons)


def _columns(metric: str, results: Mapping[str, Mapping[str, Any]]) -> Iterator[Column]:
    ways: list[tuple[Any, dict[str, Any]]] = []
    for run, found in results.items():
        if metric not in found:
            continue
        way = _way(found[metric]["provenance"])
        cells = next((cells for known, cells in ways if known == way), None)
        if cells is None:
            cells = {}
            ways.append((way, cells))
        cells[run] = found[metric]
    yield from (Column(metric, way, cells) for way, cells in ways)


def _way(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A provenance, flat, without what may differ."""
    flat: dict[str, Any] = {}
    for key, value in provenance.items():
        if key in MAY_DIFFER:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": v for inner, v in _way(value).items()}
        else:
            flat[key] = value
    return flat


def _reasons(metric: str, columns: Sequence[Column]) -> Iterator[str]:
    own = [column.way for column in columns if column.metric == metric]
    if len(own) < 2:
        return
    keys = [k for k in dict.fromkeys(k for way in own for k in way) if _varies(k, own)]
    said = "; ".join(f"{k}: {', '.join(str(way.get(k, '-')) for way in own)}" for k in keys)
    yield f"{metric} stands in {len(own)} columns, since it was not measured alike: {said}"


def _varies(key: str, ways: Sequence[Mapping[str, Any]]) -> bool:
    return any(way.get(key) != ways[0].get(key) for way in ways)


def _settings(runs: Mapping[str, RunFolder]) -> dict[str, dict[str, Any]]:
    """By key, the values in which the runs' recipes differ; of another component its name alone.

    How a run is sampled and measured is not among them: that is a matter of the columns.
    """
    recipes = {name: folder.recipe() for name, folder in runs.items()}
    first = next(iter(recipes))
    settings: dict[str, dict[str, Any]] = {}
    for name, recipe in recipes.items():
        for key, before, now in diff(recipes[first], recipe):
            if key.split(".")[0] not in ("sample", "evaluate", "expect"):
                settings.setdefault(key, dict.fromkeys(recipes, before))[name] = now
    return {k: v for k, v in settings.items() if ABSENT not in v.values()}


def _text(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    value = f"{float(cell['value']):.4g}"
    return value if cell["error"] is None else f"{value} ± {float(cell['error']):.2g}"
