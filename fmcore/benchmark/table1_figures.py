"""Measurements for the figures of Table 1: quality by evaluations of a fixed solver (the paper's
figure 7), and quality and evaluations during training (figures 5 and 10).

Every measurement is a row of figures.csv, identified by a hash of everything it depends on, so that
a stopped command resumes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import torch

from fmcore.benchmark.cells import Setting, digest
from fmcore.benchmark.cost import errors, solve_all
from fmcore.benchmark.figure_options import FigureOptions, recipe_metrics, recipe_solver
from fmcore.benchmark.results_csv import ResultsCsv, Row
from fmcore.benchmark.task import Task
from fmcore.benchmark.trained_problem import TrainedProblem
from fmcore.errors import Interrupted, SolverError, UserError
from fmcore.interfaces.problem import Solution
from fmcore.recipe.recipe import Recipe
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for

__all__ = ["FigureRun", "measure_figures"]

COLUMNS: Final = (
    *("key", "method", "seed", "step", "solver", "nfe", "samples", "compared", "held_out"),
    *("nfe_mean", "error_rms", "metrics", "reason"),
)
TEXTS: Final = ("key", "method", "solver", "metrics", "reason")


@final
@dataclass(frozen=True)
class FigureRun:
    """A finished run to be measured."""

    method: str
    seed: int
    folder: Path


def measure_figures(
    options: FigureOptions,
    recipe: Recipe,
    runs: Sequence[FigureRun],
    out: Path,
    *,
    device: str | None = None,
    quiet: bool = False,
) -> list[Row]:
    """Return the rows of all `runs` of `recipe`; missing ones are measured and appended to
    `out`/figures.csv.

    A point that cannot be measured is a row with the reason.  Raises Interrupted if stopped.
    """
    results_csv = ResultsCsv(out / "figures.csv", COLUMNS, TEXTS)
    settings = options.resolve(recipe)
    measurers = [_RunMeasurer(options, settings, run, out / "references", device) for run in runs]
    points = [(m, step, nfe) for m in measurers for step, nfe in m.points()]
    done = sum(m.key(step, nfe) in results_csv.rows for m, step, nfe in points)
    try:
        with progress("figures", len(points), "points", done, quiet) as show:
            for m, step, nfe in points:
                if m.key(step, nfe) not in results_csv.rows:
                    results_csv.add(m.row(step, nfe))
                    done += 1
                    show(done, f"{m.run.method}, step {step}")
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped after {done} of {len(points)} points of the figures; the same command resumes"
        ) from None
    return [results_csv.rows[m.key(step, nfe)] for m, step, nfe in points]


@final
class _RunMeasurer:
    """The points of one run.  A point is a checkpoint's step, with the budget of the fixed solver,
    or with None for the recipe's own solver and metrics of data.
    """

    def __init__(
        self,
        options: FigureOptions,
        settings: Mapping[str, Any],
        run: FigureRun,
        references: Path,
        device: str | None,
    ) -> None:
        self.run = run
        self._options, self._settings, self._references = options, settings, references
        self._device = device
        self._folder = RunFolder(run.folder, lambda line: None)
        self._recipe = self._folder.recipe()
        self._trained: TrainedProblem | None = None

    def points(self) -> Iterator[tuple[int, int | None]]:
        """Yield the steps and budgets, those of one checkpoint together."""
        saved = self._folder.checkpoints.steps()
        if not saved:  # a pretrained network has no checkpoints
            return
        every = (self._recipe.values["train"] or {}).get("keep_every")
        for step in saved:
            if step == saved[-1] or (every is not None and step % every == 0):
                yield step, None
        for nfe in self._settings["budgets"]:
            yield saved[-1], nfe

    def key(self, step: int, nfe: int | None) -> str:
        """Return a hash of everything that the row depends on."""
        # without the other budgets, so that adding one measures only that one
        settings = {k: v for k, v in self._settings.items() if k != "budgets"}
        return digest(
            {
                "recipe": self._recipe.digest,
                "weights": self._folder.checkpoints.sha256(step),
                "nfe": nfe,
                **settings,
            }
        )

    def row(self, step: int, nfe: int | None) -> Row:
        """Return the measured point, or a row with the reason why it cannot be measured."""
        row: Row = {
            "key": self.key(step, nfe),
            "method": self.run.method,
            "seed": self.run.seed,
            "step": step,
            "nfe": nfe,
            "samples": self._settings["samples"],
            "solver": "",
            "metrics": "",
            "reason": "",
        }
        metrics: dict[str, Any] = {}
        try:
            trained = self._at(step)
            if nfe is None:
                self._measure_checkpoint(trained, row, metrics)
            else:
                self._measure_budget(trained, nfe, row, metrics)
        except (UserError, SolverError) as error:
            row["reason"] = str(error)
        return {**row, "metrics": json.dumps(metrics) if metrics else ""}

    def _measure_budget(
        self, trained: TrainedProblem, nfe: int, row: Row, metrics: dict[str, Any]
    ) -> None:
        row["solver"] = str(self._options.solver)
        row["compared"] = self._settings["compared"]
        task = trained.task(self._setting())
        solutions = solve_all(task, self._options.solver.make(nfe=nfe), task.field)
        row |= _cost(solutions)
        if len(task.reference):
            x = torch.cat([solution.x for solution in solutions])
            row["error_rms"] = errors(x, task.reference)["error_rms"]
        self._measure_samples(trained, task, solutions, metrics)

    def _measure_checkpoint(
        self, trained: TrainedProblem, row: Row, metrics: dict[str, Any]
    ) -> None:
        solver = recipe_solver(trained.components)
        row["solver"] = solver[0]
        row["held_out"] = self._settings["held_out"]
        # no error is shown during training, so the expensive reference solve is left out
        without_reference = replace(trained, compared=0)
        task = without_reference.task(self._setting())
        solutions = solve_all(task, solver[1], task.field)
        row |= _cost(solutions)
        of_data = [m for _, m in recipe_metrics(trained.components) if m.consumes == "data"]
        if of_data:
            held_out = self._settings["held_out"]
            metrics |= without_reference.evaluate(of_data, held_out, self.run.seed)
        self._measure_samples(without_reference, task, solutions, metrics)

    def _measure_samples(
        self,
        trained: TrainedProblem,
        task: Task,
        solutions: Sequence[Solution],
        metrics: dict[str, Any],
    ) -> None:
        distance = self._options.distance(trained.components)
        if distance is not None:
            metrics |= trained.measure([distance[1]], task, solutions)

    def _setting(self) -> Setting:
        batch = (self._recipe.values["sample"] or {}).get("batch_size", 0)
        count = self._settings["samples"]
        return Setting("", None, None, self.run.seed, count, min(batch, count), "float32")

    def _at(self, step: int) -> TrainedProblem:
        """Return the network of `step`; the last one is kept for its next point."""
        if self._trained is None or self._trained.step != step:
            components = Components.of(self._recipe)
            self._trained = TrainedProblem(
                self._folder,
                self._references,
                accelerator_for(components, self._device).device,
                weights=components.sample.weights if components.sample else "ema",
                tol=self._options.tol,
                quiet=True,
                step=step,
                compared=self._settings["compared"],
            )
        return self._trained


def _cost(solutions: Sequence[Solution]) -> Row:
    nfe = torch.cat([solution.stats.nfe for solution in solutions])
    return {"nfe_mean": float(nfe.double().mean())}
