"""The paper's Table 1 on any recipe's data: five methods, one network, one budget, several seeds.

Each cell is a run of its own under `out/METHOD/seed-N`, so the same command goes on where it was
stopped, and a run that is there is not made again.  The figures are drawn from those runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, final

from fmcore.benchmark.sweep import SweepRun, sweep
from fmcore.benchmark.table1_figures import FigureOptions, FigureRun, checkpoint_overrides, measured
from fmcore.benchmark.table1_methods import METHODS, Reported, reported
from fmcore.benchmark.table1_page import write_table1_page
from fmcore.benchmark.table1_panels import FIGURES, figure_panels, notes_on
from fmcore.errors import ComponentError, did_you_mean
from fmcore.recipe.recipe import Recipe
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table
from fmcore.report.plots.panels import STYLES, Panel, save_panels
from fmcore.runs.files import write_json, write_text

__all__ = ["Cell", "FigureData", "Table1", "table1"]

Spread = tuple[float, float | None]
"""A mean over seeds, and their standard deviation where there are several."""


@final
@dataclass(frozen=True)
class Cell:
    """One method with one seed: its run folder, its results, or why there are none."""

    method: str
    seed: int
    folder: Path
    results: Mapping[str, Any]
    failure: str = ""


@final
@dataclass(frozen=True)
class FigureData:
    """What the figures show: panels by figure, how they were measured, and notes on the points."""

    panels: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def captions(self) -> dict[str, str]:
        """How each figure was made."""
        s = self.settings
        by_budget = (
            f"{s['solver']}, {s['samples']} samples; the error is that of the first "
            f"{s['compared']} against {s['reference']} from the same noise"
        )
        through = f"{s['samples']} samples by {s['recipe_solver']}"
        judged = f"{through}; metrics of data over {s['held_out']} held-out examples"
        how = {"quality-nfe": by_budget, "quality-training": judged, "nfe-training": through}
        return {name: how[name] for name in self.panels}

    def panel(self, name: str) -> Panel:
        """The panel called `name`, such as error-by-nfe."""
        return next(p for panels in self.panels.values() for p in panels if p.name == name)


@final
@dataclass(frozen=True)
class Table1:
    """The table: `cells` in order of methods, then seeds; and what was `drawn` of them, if that was
    asked for.
    """

    recipe: Recipe
    cells: Sequence[Cell]
    drawn: FigureData | None = None

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def metrics(self) -> list[str]:
        """What was measured, in the recipe's order."""
        return list(dict.fromkeys(name for cell in self.cells for name in cell.results))

    @property
    def failures(self) -> list[str]:
        """A line for every run that failed."""
        return [f"{c.method}, seed {c.seed}: {c.failure}" for c in self.cells if c.failure]

    def values(self, method: str, metric: str) -> list[float]:
        """The metric over the seeds of a method."""
        own = [cell.results for cell in self.cells if cell.method == method]
        return [float(results[metric]["value"]) for results in own if metric in results]

    def spread(self, method: str, metric: str) -> Spread | None:
        """Its mean and standard deviation over seeds."""
        values = self.values(method, metric)
        if not values:
            return None
        return fmean(values), stdev(values) if len(values) > 1 else None

    def paper(self, method: str) -> Reported | None:
        """The paper's numbers, if the recipe's data is the paper's."""
        return reported(METHODS[method], self.recipe.values["data"])

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The heads and the rows, with the paper's numbers where there are some."""
        heads = ["method", *self.metrics]
        compared = any(self.paper(method) for method in self.methods)
        if compared:
            heads += ["paper: bits/dim", "paper: FID", "paper: NFE"]
        return heads, [self._row(method, compared) for method in self.methods]

    def markdown(self) -> str:
        """The table as a page shows it, with how it was made, and the figures."""
        parts = [markdown_table(*self.table()), self.how, *self.failures, *self._figures()]
        return "\n\n".join(parts) + "\n"

    def latex(self) -> str:
        """The table for a paper."""
        return f"{PREAMBLE}\n\n{latex_table(*self.table(), self.how, 'methods')}\n"

    def json(self) -> dict[str, Any]:
        """Everything, for other programs."""
        return {
            "recipe": self.recipe.values,
            "cells": [
                {
                    "method": cell.method,
                    "seed": cell.seed,
                    "folder": str(cell.folder),
                    "results": cell.results,
                    "failure": cell.failure,
                }
                for cell in self.cells
            ],
            "figures": None if self.drawn is None else self._figures_json(self.drawn),
        }

    @property
    def how(self) -> str:
        """How the runs were made, in a sentence."""
        train = self.recipe.values["train"] or {}
        seeds = ", ".join(str(seed) for seed in sorted({cell.seed for cell in self.cells}))
        over = "mean ± standard deviation over seeds" if "," in seeds else "seed"
        return (
            f"{self.recipe.name}: {train.get('steps')} steps of {train.get('batch_size')}, one "
            f"network for all; {over} {seeds}."
        )

    def _figures(self) -> Iterator[str]:
        if self.drawn is None:
            return
        for name, panels in self.drawn.panels.items():
            yield f"## {FIGURES[name]}"
            yield f"![{FIGURES[name]}]({name}.png)"
            yield f"{self.drawn.captions[name]}."
            for panel in panels:
                yield f"{panel.title}, by {panel.across}:"
                yield markdown_table(*_numbers(panel))
        if self.drawn.notes:
            yield "## Notes on the points"
            yield "\n".join(f"* {line}" for line in self.drawn.notes)

    def _figures_json(self, drawn: FigureData) -> dict[str, Any]:
        return {
            "settings": dict(drawn.settings),
            "notes": list(drawn.notes),
            "panels": {p.name: p.json() for panels in drawn.panels.values() for p in panels},
        }

    def _row(self, method: str, compared: bool) -> list[str]:
        row = [METHODS[method].title]
        row += [_text(self.spread(method, metric)) for metric in self.metrics]
        paper = self.paper(method)
        if compared:
            row += [f"{paper.bits_per_dim}", f"{paper.fid}", f"{paper.nfe}"] if paper else [""] * 3
        return row


def table1(
    recipe: Recipe,
    out: Path,
    *,
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = (0,),
    figures: FigureOptions | None = None,
    jobs: int = 1,
    device: str | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = print,
) -> Table1:
    """Train or go on with every method and seed, then write table1.md, .tex, .json and .html
    into `out`; with `figures` measure and draw those too.

    A run that fails is a line in the table; the others go on.  With `jobs` > 1 so many runs go on
    at once, each in a process of its own.  Raises ComponentError for a method that is not known.
    """
    for method in methods:
        if method not in METHODS:
            hint = did_you_mean(method, METHODS) or ";"
            raise ComponentError(f"no method '{method}'{hint} methods: {', '.join(METHODS)}")
    if figures is not None:
        figures.settings(recipe)  # what is wrong with them is told before anything is trained
    plan = [(method, seed) for seed in seeds for method in methods]
    groups = [[_member(recipe, out, method, seed)] for method, seed in plan]
    made = sweep(groups, jobs=jobs, device=device, quiet=quiet, say=say)
    cells = [
        Cell(method, seed, one.member.folder, one.results, one.failure)
        for (method, seed), (one,) in zip(plan, made, strict=True)
    ]
    order = list(methods)
    cells.sort(key=lambda c: (order.index(c.method), c.seed))
    drawn = None if figures is None else _drawn(figures, recipe, cells, out, device, quiet)
    finished = Table1(recipe, cells, drawn)
    _write(finished, out)
    return finished


def _numbers(panel: Panel) -> tuple[list[str], list[list[str]]]:
    """A panel as a table: a row for each method, a column for each x."""
    places = {m: {place.x: str(place) for place in row} for m, row in panel.curves.items()}
    xs = sorted({x for row in places.values() for x in row})
    rows = [[METHODS[m].title, *(row.get(x, "") for x in xs)] for m, row in places.items()]
    return ["method", *(f"{x:g}" for x in xs)], rows


def _member(recipe: Recipe, out: Path, method: str, seed: int) -> SweepRun:
    chosen = [*METHODS[method].overrides, f"seed={seed}", *checkpoint_overrides(recipe)]
    title = f"{METHODS[method].title}, seed {seed}"
    return SweepRun(title, recipe.override(chosen), out / method / f"seed-{seed}")


def _drawn(
    figures: FigureOptions,
    recipe: Recipe,
    cells: Sequence[Cell],
    out: Path,
    device: str | None,
    quiet: bool,
) -> FigureData:
    subjects = [
        FigureRun(cell.method, cell.seed, cell.folder) for cell in cells if not cell.failure
    ]
    rows = measured(figures, recipe, subjects, out, device=device, quiet=quiet)
    settings = figures.settings(recipe)
    distance = (settings["metric"] or "").partition("(")[0]
    return FigureData(figure_panels(rows, distance), settings, notes_on(rows))


def _write(made: Table1, out: Path) -> None:
    write_text(out / "table1.md", made.markdown())
    write_text(out / "table1.tex", made.latex())
    write_json(out / "table1.json", made.json())
    titles = {method: METHODS[method].title for method in made.methods}
    styles = dict(zip(METHODS, STYLES, strict=False))  # of a method: the same in every figure
    drawn = made.drawn or FigureData()
    for name, panels in drawn.panels.items():
        how = f"{made.how[:-1]}; {drawn.captions[name]}"
        save_panels(out / f"{name}.png", panels, titles, styles, how)
    write_table1_page(
        out / "table1.html",
        title=f"Table 1 on {made.recipe.name}",
        table=made.table(),
        how=made.how,
        failures=made.failures,
        figures=[
            (FIGURES[name], drawn.captions[name], [(panel, _numbers(panel)) for panel in panels])
            for name, panels in drawn.panels.items()
        ],
        names=titles,
        styles=styles,
        notes=drawn.notes,
    )


def _text(spread: Spread | None) -> str:
    if spread is None:
        return "failed"
    mean, deviation = spread
    return f"{mean:.4g}" if deviation is None else f"{mean:.4g} ± {deviation:.2g}"
