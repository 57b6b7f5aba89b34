"""Table 1 and its figures as text: Markdown, LaTeX and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any, final

from fmcore.benchmark.method_runs import MethodRun, how_made
from fmcore.benchmark.run_tables import spread_text
from fmcore.benchmark.table1_methods import METHODS, Reported, reported
from fmcore.benchmark.table1_panels import FIGURES
from fmcore.recipe.recipe import Recipe
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table
from fmcore.report.numbers import MARK_NOTE, is_flawed
from fmcore.report.plots.method_curves import Panel

__all__ = ["FigureData", "Table1", "panel_table"]

Spread = tuple[float, float | None]
"""Mean and standard deviation over seeds; None for one seed."""

Table = tuple[list[str], list[list[str]]]


@final
@dataclass(frozen=True)
class FigureData:
    """The panels of each figure, the settings of their measurement, and notes on points."""

    panels: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def captions(self) -> dict[str, str]:
        """How each figure was measured."""
        s = self.settings
        by_budget = (
            f"{s['solver']}, {s['samples']} samples; the error is that of the first "
            f"{s['compared']} against {s['reference']} from the same noise"
        )
        during = f"{s['samples']} samples by {s['recipe_solver']}"
        evaluated = f"{during}; metrics of data over {s['held_out']} held-out examples"
        how = {"quality-nfe": by_budget, "quality-training": evaluated, "nfe-training": during}
        return {name: how[name] for name in self.panels}

    def panel(self, name: str) -> Panel:
        """Return the panel called `name`, such as error-by-nfe."""
        return next(p for panels in self.panels.values() for p in panels if p.name == name)

    def json(self) -> dict[str, Any]:
        """Return settings, notes and all curves for other programs."""
        return {
            "settings": dict(self.settings),
            "notes": list(self.notes),
            "panels": {p.name: p.json() for panels in self.panels.values() for p in panels},
        }

    def markdown(self) -> Iterator[str]:
        """Yield the blocks of a page: each figure with its numbers, then the notes."""
        for name, panels in self.panels.items():
            yield f"## {FIGURES[name]}"
            yield f"![{FIGURES[name]}]({name}.png)"
            yield f"{self.captions[name]}."
            for panel in panels:
                yield f"{panel.title}, by {panel.across}:"
                yield markdown_table(*panel_table(panel))
        if self.notes:
            yield "## Notes on the points"
            yield "\n".join(f"* {line}" for line in self.notes)


@final
@dataclass(frozen=True)
class Table1:
    """The runs in order of methods, then seeds, and the data of the figures, if measured."""

    recipe: Recipe
    runs: Sequence[MethodRun]
    figures: FigureData | None = None

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        return list(dict.fromkeys(run.method for run in self.runs))

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the recipe's order."""
        return list(dict.fromkeys(name for run in self.runs for name in run.results))

    @property
    def failures(self) -> list[str]:
        """A line for every failed run."""
        return [f"{r.method}, seed {r.seed}: {r.failure}" for r in self.runs if r.failure]

    @property
    def notes(self) -> list[str]:
        """The meaning of the mark in the table, if a number has it; then the failures."""
        flawed = any(is_flawed(result) for run in self.runs for result in run.results.values())
        return [*([MARK_NOTE] if flawed else []), *self.failures]

    def values(self, method: str, metric: str) -> list[float]:
        """Return the metric's value for each seed of a method."""
        return [float(result["value"]) for result in self._results(method, metric)]

    def spread(self, method: str, metric: str) -> Spread | None:
        """Return the metric's mean and standard deviation over seeds; None without values."""
        values = self.values(method, metric)
        if not values:
            return None
        return fmean(values), stdev(values) if len(values) > 1 else None

    def paper(self, method: str) -> Reported | None:
        """Return the paper's numbers, if the recipe's dataset is one of the paper's."""
        return reported(METHODS[method], self.recipe.values["data"])

    def table(self) -> Table:
        """Return heads and rows, with the paper's numbers if there are any."""
        heads = ["method", *self.metrics]
        compared = any(self.paper(method) for method in self.methods)
        if compared:
            heads += ["paper: bits/dim", "paper: FID", "paper: NFE"]
        return heads, [self._row(method, compared) for method in self.methods]

    def markdown(self) -> str:
        """Return the table, how it was made, and the figures."""
        parts = [markdown_table(*self.table()), self.how, *self.notes]
        parts += [] if self.figures is None else self.figures.markdown()
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """Return the table as LaTeX."""
        return f"{PREAMBLE}\n\n{latex_table(*self.table(), self.how, 'methods')}\n"

    def json(self) -> dict[str, Any]:
        """Return runs and figures for other programs."""
        return {
            "recipe": self.recipe.values,
            "cells": [{**vars(run), "folder": str(run.folder)} for run in self.runs],
            "figures": None if self.figures is None else self.figures.json(),
        }

    @property
    def how(self) -> str:
        """How the runs were made, in a sentence."""
        return how_made(self.recipe, self.runs)

    def _results(self, method: str, metric: str) -> list[Mapping[str, Any]]:
        own = [run.results for run in self.runs if run.method == method]
        return [results[metric] for results in own if metric in results]

    def _row(self, method: str, compared: bool) -> list[str]:
        row = [METHODS[method].title]
        row += [spread_text(self._results(method, m)) or "failed" for m in self.metrics]
        paper = self.paper(method)
        if compared:
            row += [f"{paper.bits_per_dim}", f"{paper.fid}", f"{paper.nfe}"] if paper else [""] * 3
        return row


def panel_table(panel: Panel) -> Table:
    """Return a panel as a table: a row for each method, a column for each x."""
    texts = {m: {point.x: str(point) for point in curve} for m, curve in panel.curves.items()}
    xs = sorted({x for row in texts.values() for x in row})
    rows = [[METHODS[m].title, *(row.get(x, "") for x in xs)] for m, row in texts.items()]
    return ["method", *(f"{x:g}" for x in xs)], rows
