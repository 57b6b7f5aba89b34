"""What the figures of Table 1 show: quality against evaluations of a fixed solver (the paper's
figure 7), and quality and evaluations against training (figures 5 and 10).

Every measurement is a row of figures.csv, kept by a hash of all that would change it: what is there
is not measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import torch

from fmcore.benchmark.axes import ComponentSpec
from fmcore.benchmark.cells import Setting, digest
from fmcore.benchmark.cost import errors, solve_all
from fmcore.benchmark.results_csv import ResultsCsv, Row
from fmcore.benchmark.task import Task
from fmcore.benchmark.trained_problem import TrainedProblem, check_metrics
from fmcore.errors import ComponentError, Interrupted, SolverError, UserError
from fmcore.interfaces.metric import Metric
from fmcore.interfaces.problem import Solution
from fmcore.interfaces.solver import Solver
from fmcore.recipe.create import create
from fmcore.recipe.recipe import Recipe
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for

__all__ = ["BUDGETS", "FigureOptions", "FigureRun", "checkpoint_overrides", "measured"]

BUDGETS: Final = (4, 8, 12, 20, 40, 100)
"""Velocity evaluations a sample: the range of the paper's figure 7."""

STAGES = 5
"""Checkpoints of a training that are looked at, evenly spaced, unless train.keep_every says."""

MAX_SAMPLES = 2000
DISTANCES = ("sliced_wasserstein", "fd_lite0")
"""What is measured on samples if the recipe names no such metric: the first that fits the data."""

COLUMNS: Final = (
    *("key", "method", "seed", "step", "solver", "nfe", "samples", "compared", "held_out"),
    *("nfe_mean", "error_rms", "metrics", "reason"),
)
TEXTS: Final = ("key", "method", "solver", "metrics", "reason")


@final
@dataclass(frozen=True)
class FigureOptions:
    """How the figures are measured.

    `metric` is the distance of samples: by default the first of the recipe's that looks at samples.
    `samples` are drawn for every point, by default the recipe's, 2000 at most; the error of the
    fixed `solver` is that of the first `compared`, against a solve at tolerance `tol` in double
    precision; metrics of data see the first `held_out` examples of the test split.
    """

    budgets: Sequence[int] = BUDGETS
    metric: ComponentSpec | None = None
    samples: int | None = None
    solver: ComponentSpec = ComponentSpec("solver", "midpoint", {"grid": "uniform"})  # noqa: RUF009  # frozen
    compared: int = 64
    held_out: int = 64
    tol: float = 1e-6

    def __post_init__(self) -> None:
        if not self.budgets or min(self.budgets) < 1:
            raise ComponentError(f"budgets are whole numbers from 1 on, got {list(self.budgets)}")

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        """All of it, decided for `recipe`, as JSON."""
        components = Components.of(recipe)
        distance = self.distance(components)
        return {
            "budgets": sorted(set(self.budgets)),
            "solver": str(self.solver),
            "recipe_solver": _own_solver(components)[0],
            "samples": self.count(recipe),
            "compared": min(self.compared, self.count(recipe)),
            "held_out": min(self.held_out, components.data.with_split("test").length),
            "reference": f"dopri8, rtol = atol = {self.tol}, float64",
            "metric": None if distance is None else distance[0],
        }

    def count(self, recipe: Recipe) -> int:
        """How many samples are drawn for a point."""
        own = (recipe.values["sample"] or {}).get("count", MAX_SAMPLES)
        return self.samples or min(own, MAX_SAMPLES)

    def distance(self, components: Components) -> tuple[str, Metric] | None:
        """The metric of samples, with its name; None if none fits the data.

        Raises ComponentError for one that was asked for and does not fit the data, or does not look
        at samples.
        """
        if self.metric is not None:
            check_metrics([self.metric], components)
            return str(self.metric), self.metric.make()
        for name, metric in _own_metrics(components):
            if metric.consumes == "samples" and name != "nfe":
                return name, metric
        return _first_that_fits(components)


@final
@dataclass(frozen=True)
class FigureRun:
    """A finished run to look at."""

    method: str
    seed: int
    folder: Path


def checkpoint_overrides(recipe: Recipe) -> list[str]:
    """The override that lets a run keep the checkpoints which the figures look at."""
    train = recipe.values["train"]
    if train is None or train["keep_every"] is not None:
        return []
    return [f"train.keep_every={-(-train['steps'] // STAGES)}"]


def measured(
    figures: FigureOptions,
    recipe: Recipe,
    subjects: Sequence[FigureRun],
    out: Path,
    *,
    device: str | None = None,
    quiet: bool = False,
) -> list[Row]:
    """The rows of every subject, runs of `recipe` with other methods; those that are missing are
    measured, and kept in `out`/figures.csv.

    What cannot be measured is a row with its reason.  Raises Interrupted if stopped.
    """
    results_csv = ResultsCsv(out / "figures.csv", COLUMNS, TEXTS)
    settings = figures.settings(recipe)
    looks = [
        _RunMeasurer(figures, settings, subject, out / "references", device) for subject in subjects
    ]
    points = [(look, step, nfe) for look in looks for step, nfe in look.points()]
    done = sum(look.key(step, nfe) in results_csv.rows for look, step, nfe in points)
    try:
        with progress("figures", len(points), "points", done, quiet) as show:
            for look, step, nfe in points:
                if look.key(step, nfe) not in results_csv.rows:
                    results_csv.add(look.row(step, nfe))
                    done += 1
                    show(done, f"{look.subject.method}, step {step}")
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped after {done} of {len(points)} points of the figures; the same command goes on"
        ) from None
    return [results_csv.rows[look.key(step, nfe)] for look, step, nfe in points]


@final
class _RunMeasurer:
    """A run seen by the figures.  A point is a checkpoint's step and, either, the evaluations of
    the fixed solver, or None: the recipe's own solver, and metrics of data beside.
    """

    def __init__(
        self,
        figures: FigureOptions,
        settings: Mapping[str, Any],
        subject: FigureRun,
        references: Path,
        device: str | None,
    ) -> None:
        self.subject = subject
        self._figures, self._settings, self._references = figures, settings, references
        self._device = device
        self._folder = RunFolder(subject.folder, _nothing)
        self._recipe = self._folder.recipe()
        self._trained: TrainedProblem | None = None

    def points(self) -> Iterator[tuple[int, int | None]]:
        """The steps and budgets to look at, those of one checkpoint in a row."""
        saved = self._folder.checkpoints.steps()
        if not saved:  # a network that was not trained here
            return
        every = (self._recipe.values["train"] or {}).get("keep_every")
        for step in saved:
            if step == saved[-1] or (every is not None and step % every == 0):
                yield step, None
        for nfe in self._settings["budgets"]:
            yield saved[-1], nfe

    def key(self, step: int, nfe: int | None) -> str:
        """The hash of all that would change what is measured."""
        kept = {k: v for k, v in self._settings.items() if k != "budgets"}
        return digest(
            {
                "recipe": self._recipe.digest,
                "weights": self._folder.checkpoints.sha256(step),
                "nfe": nfe,
                **kept,
            }
        )

    def row(self, step: int, nfe: int | None) -> Row:
        """The point, measured, or the reason why it cannot be."""
        row: Row = {
            "key": self.key(step, nfe),
            "method": self.subject.method,
            "seed": self.subject.seed,
            "step": step,
            "nfe": nfe,
            "samples": self._settings["samples"],
            "solver": "",
            "metrics": "",
            "reason": "",
        }
        found: dict[str, Any] = {}
        try:
            trained = self._at(step)
            if nfe is None:
                self._through_training(trained, row, found)
            else:
                self._within(trained, nfe, row, found)
        except (UserError, SolverError) as error:
            row["reason"] = str(error)
        return {**row, "metrics": json.dumps(found) if found else ""}

    def _within(self, trained: TrainedProblem, nfe: int, row: Row, found: dict[str, Any]) -> None:
        """Quality for a budget of the fixed solver."""
        row["solver"] = str(self._figures.solver)
        row["compared"] = self._settings["compared"]
        task = trained.task(self._setting())
        solutions = solve_all(task, self._figures.solver.make(nfe=nfe), task.field)
        row |= _cost(solutions)
        if len(task.reference):
            x = torch.cat([solution.x for solution in solutions])
            row["error_rms"] = errors(x, task.reference)["error_rms"]
        self._judged_by_samples(trained, task, solutions, found)

    def _through_training(self, trained: TrainedProblem, row: Row, found: dict[str, Any]) -> None:
        """Quality and cost by the recipe's own solver."""
        solver = _own_solver(trained.components)
        row["solver"] = solver[0]
        row["held_out"] = self._settings["held_out"]
        blind = replace(trained, compared=0)
        task = blind.task(self._setting())
        solutions = solve_all(task, solver[1], task.field)
        row |= _cost(solutions)
        of_data = [m for _, m in _own_metrics(trained.components) if m.consumes == "data"]
        if of_data:
            found |= blind.judge(of_data, self._settings["held_out"], self.subject.seed)
        self._judged_by_samples(blind, task, solutions, found)

    def _judged_by_samples(
        self,
        trained: TrainedProblem,
        task: Task,
        solutions: Sequence[Solution],
        found: dict[str, Any],
    ) -> None:
        distance = self._figures.distance(trained.components)
        if distance is not None:
            found |= trained.measure([distance[1]], task, solutions)

    def _setting(self) -> Setting:
        batch = (self._recipe.values["sample"] or {}).get("batch_size", 0)
        count = self._settings["samples"]
        return Setting("", None, None, self.subject.seed, count, min(batch, count), "float32")

    def _at(self, step: int) -> TrainedProblem:
        """The network of `step`; the last one asked for is kept."""
        if self._trained is None or self._trained.step != step:
            components = Components.of(self._recipe)
            self._trained = TrainedProblem(
                self._folder,
                self._references,
                accelerator_for(components, self._device).device,
                weights=components.sample.weights if components.sample else "ema",
                tol=self._figures.tol,
                quiet=True,
                step=step,
                compared=self._settings["compared"],
            )
        return self._trained


def _cost(solutions: Sequence[Solution]) -> Row:
    nfe = torch.cat([solution.stats.nfe for solution in solutions])
    return {"nfe_mean": float(nfe.double().mean())}


def _own_solver(components: Components) -> tuple[str, Solver]:
    """The recipe's solver, by name and options that a reader knows; the paper's without one."""
    if components.sample is None:
        return "dopri5(rtol=1e-05, atol=1e-05)", create("solver", "dopri5", rtol=1e-5, atol=1e-5)
    given = dict(components.recipe.values["sample"]["solver"])
    told = [f"{k}={given[k]}" for k in ("nfe", "steps", "rtol", "atol") if given.get(k) is not None]
    return f"{given['name']}({', '.join(told)})", components.sample.solver


def _own_metrics(components: Components) -> list[tuple[str, Metric]]:
    """The recipe's metrics, by name."""
    settings = components.evaluate
    if settings is None:
        return []
    named = [metric["name"] for metric in components.recipe.values["evaluate"]["metrics"]]
    return list(zip(named, settings.metrics, strict=True))


def _first_that_fits(components: Components) -> tuple[str, Metric] | None:
    for name in DISTANCES:
        try:
            metric: Metric = create("metric", name)
            metric.check(components.data, components.path)
        except UserError:
            continue
        return name, metric
    return None


def _nothing(line: str) -> None:
    """Say nothing."""
