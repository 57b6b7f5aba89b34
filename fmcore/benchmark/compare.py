"""Compare the results of runs; numbers that were computed differently never share a column.

Two results share a column if their provenance, which is how they were measured, agrees in all but
seeds, which may vary in a fair comparison.  Otherwise the metric has several columns, and a line
names the differences.  The origin, which is how the thing measured was made, is not compared: a
line names its differences.

Only JSON and YAML files are read: the plugins and networks of the runs are not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from fmcore.recipe.load import read_values
from fmcore.report.facts import leaves
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table
from fmcore.report.numbers import MARK_NOTE, cell_text, is_flawed
from fmcore.runs.folder import RunFolder

__all__ = ["Column", "Comparison", "compare"]

MAY_DIFFER = ("seed",)
"""Keys of the provenance in which the results of one column may differ."""

NOT_SETTINGS = ("sample", "evaluate", "expect")
"""Sections of the recipe that the provenance of each number contains already."""

OF_EACH_RUN = ("samples", "step")
"""Keys of the origin that differ between any two runs, or by a setting of the recipe."""

MAX_NAMED = 4
"""Differences of origin that are printed."""


@final
@dataclass(frozen=True)
class Column:
    """One metric, computed in one `way`; `cells` holds the results of results.json by run."""

    metric: str
    way: Mapping[str, Any]
    cells: Mapping[str, Mapping[str, Any]]


@final
@dataclass(frozen=True)
class Comparison:
    """The runs, the settings in which their recipes differ, a column for each metric and way, and
    `reasons`: a line for every metric with several columns, for differences of origin that the
    settings do not show, and for every run without results.
    """

    runs: Sequence[str]
    settings: Mapping[str, Mapping[str, str]]
    columns: Sequence[Column]
    reasons: Sequence[str]

    @property
    def notes(self) -> list[str]:
        """The reasons, and the meaning of the mark in the table if a number has it."""
        flawed = any(is_flawed(cell) for column in self.columns for cell in column.cells.values())
        return [*self.reasons, *([MARK_NOTE] if flawed else [])]

    def headings(self) -> list[str]:
        """Return the names of the columns; those of a split metric are numbered."""
        metrics = [column.metric for column in self.columns]
        numbers: dict[str, int] = {}
        names = []
        for metric in metrics:
            numbers[metric] = numbers.get(metric, 0) + 1
            is_split = metrics.count(metric) > 1
            names.append(f"{metric} [{numbers[metric]}]" if is_split else metric)
        return names

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the heads of all columns, and the rows."""
        return ["run", *self.settings, *self.headings()], self.rows()

    def rows(self) -> list[list[str]]:
        """Return a row of text for every run: its name, its settings, its numbers."""
        return [
            [
                run,
                *(values.get(run, "") for values in self.settings.values()),
                *(cell_text(column.cells.get(run)) for column in self.columns),
            ]
            for run in self.runs
        ]

    def markdown(self) -> str:
        """Return the table as Markdown, with the notes below."""
        return "\n\n".join([markdown_table(*self.table()), *self.notes]) + "\n"

    def latex(self) -> str:
        """Return the table as LaTeX, with the notes in its caption."""
        caption = ". ".join(["Results", *self.notes, ""]).strip()
        return f"{PREAMBLE}\n\n{latex_table(*self.table(), caption, 'comparison')}\n"


def compare(folders: Sequence[RunFolder]) -> Comparison:
    """Compare the results of `folders`.  Raises RunError or RecipeError for unreadable files."""
    runs = {str(folder.root): folder for folder in folders}
    results = {name: folder.results() for name, folder in runs.items()}
    metrics = dict.fromkeys(metric for found in results.values() for metric in found)
    columns = [column for metric in metrics for column in _columns(metric, results)]
    settings = _settings(runs)
    reasons = [line for metric in metrics for line in _reasons(metric, columns)]
    reasons += _origin_differences(results, settings)
    reasons += [_describe_missing(runs[run]) for run, found in results.items() if not found]
    return Comparison(list(runs), settings, columns, reasons)


def _describe_missing(folder: RunFolder) -> str:
    """Return why a run has no results, and the command that computes them."""
    run = folder.root
    if read_values(folder.recipe_file).get("evaluate"):
        return f"{run} has no results yet: compute them with fmcore evaluate {run}"
    return (
        f"{run} has no results, since its recipe has no metrics: compute some, as with "
        f"fmcore evaluate {run} 'metrics=[nfe]'"
    )


def way_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provenance by dotted keys, without the keys that may differ."""
    flat: dict[str, Any] = {}
    for key, value in provenance.items():
        if key in MAY_DIFFER:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": v for inner, v in way_of(value).items()}
        else:
            flat[key] = value
    return flat


def differing_keys(ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values differ between `ways`, in order of appearance."""
    keys = dict.fromkeys(key for way in ways for key in way)
    return [key for key in keys if any(way.get(key) != ways[0].get(key) for way in ways)]


def _columns(metric: str, results: Mapping[str, Mapping[str, Any]]) -> Iterator[Column]:
    ways: list[tuple[Any, dict[str, Any]]] = []
    for run, found in results.items():
        if metric not in found:
            continue
        way = way_of(found[metric]["provenance"])
        cells = next((cells for known, cells in ways if known == way), None)
        if cells is None:
            cells = {}
            ways.append((way, cells))
        cells[run] = found[metric]
    yield from (Column(metric, way, cells) for way, cells in ways)


def _reasons(metric: str, columns: Sequence[Column]) -> Iterator[str]:
    ways = [column.way for column in columns if column.metric == metric]
    if len(ways) > 1:
        differences = "; ".join(
            f"{key}: {', '.join(str(way.get(key, '-')) for way in ways)}"
            for key in differing_keys(ways)
        )
        yield (
            f"{metric} has {len(ways)} columns, since it was computed in different ways "
            f"({differences}); to compare all runs, evaluate them alike with fmcore evaluate RUN"
        )


def _origin_differences(
    results: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a line with the differences of origin that no column of `settings` shows."""
    shown = {f"recipe.{key}" for key in settings}
    found = [
        dict(leaves(next(iter(own.values())).get("origin", {}))) for own in results.values() if own
    ]
    if not all(found):  # results of earlier versions have no origin
        return
    keys = [
        key
        for key in differing_keys(found)
        if key not in shown and key.partition(".")[0] not in OF_EACH_RUN
    ]
    named = "; ".join(
        f"{key.removeprefix('recipe.')}: {', '.join(o.get(key, '-') for o in found)}"
        for key in keys[:MAX_NAMED]
    )
    more = f"; and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else ""
    if keys:
        yield f"the runs were made in different ways ({named}{more}; see origin in results.json)"


def _settings(runs: Mapping[str, RunFolder]) -> dict[str, dict[str, str]]:
    """Return the recipe values that differ between the runs, by key and run.

    A key that a recipe lacks, such as an option of another component, is left out: the name of the
    component is in the table.
    """
    recipes = {run: dict(leaves(read_values(f.recipe_file))) for run, f in runs.items()}
    settings: dict[str, dict[str, str]] = {}
    for key in dict.fromkeys(key for recipe in recipes.values() for key in recipe):
        if key.partition(".")[0] in NOT_SETTINGS:
            continue
        values = {run: recipe[key] for run, recipe in recipes.items() if key in recipe}
        if len(values) == len(recipes) and len(set(values.values())) > 1:
            settings[key] = values
    return settings
