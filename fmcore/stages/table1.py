"""The paper's Table 1 on any recipe's data: five methods, one network, one budget, several seeds.

Each cell is a run of its own under `out/METHOD/seed-N`, so the same command goes on where it was
stopped, and a run that is there is not made again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, final

from fmcore.errors import ComponentError, FmcoreError
from fmcore.plugins import registry
from fmcore.recipe import Recipe
from fmcore.runs.atomic import write_json, write_text
from fmcore.stages.methods import METHODS, Reported, reported
from fmcore.stages.run import run
from fmcore.suggest import did_you_mean

__all__ = ["Cell", "Table1", "table1"]

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
class Table1:
    """The table: `cells` in order of methods, then seeds."""

    recipe: Recipe
    cells: Sequence[Cell]

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

    def markdown(self) -> str:
        """The table as a page shows it, with how it was made."""
        heads = ["method", *self.metrics]
        methods = list(dict.fromkeys(cell.method for cell in self.cells))
        compared = any(self.paper(method) for method in methods)
        if compared:
            heads += ["paper: bits/dim", "paper: FID", "paper: NFE"]
        lines = [heads, ["---"] * len(heads), *(self._row(m, compared) for m in methods)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join([table, self._how(), *self.failures]) + "\n"

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
        }

    def _row(self, method: str, compared: bool) -> list[str]:
        row = [METHODS[method].title]
        row += [_text(self.spread(method, metric)) for metric in self.metrics]
        paper = self.paper(method)
        if compared:
            row += [f"{paper.bits_per_dim}", f"{paper.fid}", f"{paper.nfe}"] if paper else [""] * 3
        return row

    def _how(self) -> str:
        train = self.recipe.values["train"] or {}
        seeds = sorted({cell.seed for cell in self.cells})
        return (
            f"{self.recipe.name}: {train.get('steps')} steps of {train.get('batch_size')}, one "
            f"network for all; mean ± standard deviation over seeds {', '.join(map(str, seeds))}."
        )


def table1(
    recipe: Recipe,
    out: Path,
    *,
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = (0,),
    jobs: int = 1,
    device: str | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = print,
) -> Table1:
    """Train or go on with every method and seed, then write table1.md and table1.json into `out`.

    A run that fails is a line in the table; the others go on.  With `jobs` > 1 so many runs go on
    at once, each in a process of its own.  Raises ComponentError for a method that is not known.
    """
    for method in methods:
        if method not in METHODS:
            hint = did_you_mean(method, METHODS) or ";"
            raise ComponentError(f"no method '{method}'{hint} methods: {', '.join(METHODS)}")
    plan = [(method, seed) for seed in seeds for method in methods]
    make = _in_process if jobs == 1 else _in_another_process

    def cell(of: tuple[str, int]) -> Cell:
        method, seed = of
        say(f"{METHODS[method].title}, seed {seed}")
        chosen = recipe.override([*METHODS[method].overrides, f"seed={seed}"])
        return make(chosen, Cell(method, seed, out / method / f"seed-{seed}", {}), device, quiet)

    with ThreadPoolExecutor(jobs) as pool:
        cells = list(pool.map(cell, plan) if jobs > 1 else map(cell, plan))
    order = list(methods)
    made = Table1(recipe, sorted(cells, key=lambda c: (order.index(c.method), c.seed)))
    write_text(out / "table1.md", made.markdown())
    write_json(out / "table1.json", made.json())
    return made


def _in_process(recipe: Recipe, cell: Cell, device: str | None, quiet: bool) -> Cell:
    try:
        made = run(recipe, out=cell.folder, device=device, quiet=quiet)
    except FmcoreError as error:
        return _failed(cell, error)
    return Cell(cell.method, cell.seed, cell.folder, made.results)


def _in_another_process(recipe: Recipe, cell: Cell, device: str | None, quiet: bool) -> Cell:
    file = cell.folder.parent / f"seed-{cell.seed}.yaml"
    write_text(file, recipe.to_yaml())
    command = [sys.executable, "-m", "fmcore", "run", str(file), "--out", str(cell.folder), "-q"]
    command += ["--device", device] if device else []
    command += [word for p in registry().plugins if p.file for word in ("--plugin", p.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Cell(cell.method, cell.seed, cell.folder, {}, said[-1])
    results = json.loads((cell.folder / "results.json").read_text("utf-8"))
    return Cell(cell.method, cell.seed, cell.folder, results)


def _failed(cell: Cell, error: FmcoreError) -> Cell:
    if error.exit_code == 130:  # asked to stop: not a failure of this method
        raise error
    return Cell(cell.method, cell.seed, cell.folder, {}, str(error))


def _text(spread: Spread | None) -> str:
    if spread is None:
        return "failed"
    mean, deviation = spread
    return f"{mean:.4g}" if deviation is None else f"{mean:.4g} ± {deviation:.2g}"
