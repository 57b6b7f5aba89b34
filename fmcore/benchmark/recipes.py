"""Benchmark over the keys of a recipe: a run for each combination, and solvers on each network.

The folder holds runs/ (a run per combination, resumed or reused), runs.csv, benchmark.json, .md,
.tex and .html, and, if axes of solvers are given, cells.csv and benchmark.png.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from fmcore.benchmark.axes import Axes, read_axes
from fmcore.benchmark.benchmark_page import write_benchmark_page
from fmcore.benchmark.cell_runner import BenchmarkConfig, BenchmarkPlan
from fmcore.benchmark.cells import digest
from fmcore.benchmark.pareto_plot import save_pareto_plot
from fmcore.benchmark.recipe_axes import Combination, RecipeAxes, read_recipe_axes
from fmcore.benchmark.results_csv import ResultsCsv, Row
from fmcore.benchmark.run_tables import RunRow, RunsReport
from fmcore.benchmark.solvers import CLOSED_FORM, RUN_AXES, along_own_path
from fmcore.benchmark.sweep import SweepResult, SweepRun, check_engine, sweep
from fmcore.benchmark.tables import SolversReport
from fmcore.benchmark.trained_problem import check_metrics
from fmcore.errors import FmcoreError, RecipeError
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe
from fmcore.registry import registry
from fmcore.runs.files import write_json, write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.provenance import environment
from fmcore.stages.components import Components

__all__ = ["RecipeBenchmark", "benchmark_recipe", "is_recipe"]

AFTER_TRAINING = ("sample", "evaluate", "expect")
"""Sections that do not change the network: runs that differ only there share their training."""

NOT_IN_TITLE = (*AFTER_TRAINING, "path", "seed")
"""Keys left out of the title of a network's table, which names path and seed by itself."""


@final
@dataclass(frozen=True)
class RecipeBenchmark:
    """A finished benchmark: its folder, its runs, and the solvers on them, if any."""

    folder: Path
    runs: RunsReport
    solvers: SolversReport | None

    def json(self) -> dict[str, Any]:
        """Return all rows for other programs."""
        solvers = None if self.solvers is None else self.solvers.json()
        return {"how": self.runs.how, "runs": self.runs.json(), "solvers": solvers}

    def markdown(self) -> str:
        """Return the tables of the runs, then of the solvers, as Markdown."""
        return self.runs.markdown() + (
            "" if self.solvers is None else f"\n{self.solvers.markdown()}"
        )

    def latex(self) -> str:
        """Return the same tables as LaTeX."""
        return self.runs.latex() + ("" if self.solvers is None else f"\n{self.solvers.latex()}")


@final
@dataclass(frozen=True)
class _PlannedRun:
    """A combination with its run, or with the reason why it has none."""

    combination: Combination
    run: SweepRun | None
    reason: str = ""


def is_recipe(target: str) -> bool:
    """Return whether `target` is a recipe, by its form: neither closed-form nor a run folder."""
    place = Path(target)
    if target == CLOSED_FORM or (place / "recipe.yaml").is_file():
        return False
    return place.is_file() or len(place.parts) == 1 or target.endswith((".yaml", ".yml"))


def benchmark_recipe(
    source: str | Path,
    axes: Sequence[str] = (),
    *,
    out: Path | None = None,
    jobs: int | None = None,
    engine: str = "process",
    device: str = "cpu",
    threads: int = 1,
    repeats: int = 5,
    reference_tol: float = 1e-8,
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> RecipeBenchmark:
    """Run the recipe `source` for every combination of `axes`, such as "path=ot,vp"; with axes of
    solvers, such as "solver=euler,rk4", measure those on each network.

    `jobs` and `engine` are those of `sweep`.  An invalid combination is a row with the reason.
    Raises RecipeError for wrong axes or an unknown engine, and if all combinations are invalid.
    """
    check_engine(engine)
    recipe = load_recipe(source, partial=True)
    given = read_recipe_axes(axes, recipe)
    folder = Path("runs") / "benchmark" / recipe.name if out is None else out
    planned = [_planned(source, recipe.name, c, folder) for c in given.combinations()]
    solver_axes = _checked_solver_axes(given, planned)
    config = BenchmarkConfig(device, threads, repeats, reference_tol, quiet)
    with RunFolder(folder).claimed():
        runs = [plan.run for plan in planned if plan.run is not None]
        groups = sweep(
            _groups(runs), jobs=jobs, engine=engine, device=device, quiet=quiet, emit=emit
        )
        by_folder = {result.run.folder: result for group in groups for result in group}
        rows = [_row(plan, by_folder) for plan in planned]
        report = RunsReport(given.varied, rows, _description(recipe.name, given))
        solvers = None
        if solver_axes is not None:
            networks = [r for r in map(_first_finished, groups) if r is not None]
            solvers = _measure_solvers(solver_axes, networks, planned, folder, config, emit)
        finished = RecipeBenchmark(folder, report, solvers)
        _write(finished, environment(config.torch_device))
    return finished


def list_commands(
    source: str | Path, axes: Sequence[str] = (), *, out: Path | None = None, device: str = "cpu"
) -> list[str]:
    """Return the `fmcore run` command of each combination of `axes`, for a job scheduler.

    Once they have run, `benchmark_recipe` with the same arguments finds their folders finished and
    computes only its tables.  A combination that is refused is a comment with the reason.  Raises
    RecipeError for wrong axes, and if all combinations are invalid.
    """
    recipe = load_recipe(source, partial=True)
    given = read_recipe_axes(axes, recipe)
    folder = Path("runs") / "benchmark" / recipe.name if out is None else out
    plugins = [word for p in registry().plugins if p.file for word in ("--plugin", p.file)]
    planned = [_planned(source, recipe.name, c, folder) for c in given.combinations()]
    _require_a_run(planned)
    lines = []
    for plan in planned:
        if plan.run is None:
            lines.append(f"# {plan.combination}: {' '.join(plan.reason.split())}")
            continue
        words = ["fmcore", "run", str(source), *plan.combination.overrides]
        words += ["--out", str(plan.run.folder), "--device", device, *plugins]
        lines.append(shlex.join(words))
    return lines


def _planned(source: str | Path, name: str, combination: Combination, folder: Path) -> _PlannedRun:
    try:
        recipe = load_recipe(source, combination.overrides, name=name)
        Components.of(recipe).check()
    except FmcoreError as error:
        return _PlannedRun(combination, None, str(error))
    run = SweepRun(str(combination), recipe, _run_folder(folder, combination, recipe))
    return _PlannedRun(combination, run)


def _run_folder(folder: Path, combination: Combination, recipe: Recipe) -> Path:
    """Return the run's folder.  Its name ends with a hash of the recipe, by which it is found again
    when other axes lead to the same recipe.
    """
    own = recipe.digest[:10]
    existing = sorted((folder / "runs").glob(f"*-{own}"))
    if existing:
        return existing[0]
    label = "-".join(combination.labels.values()) or recipe.name
    return folder / "runs" / f"{re.sub(r'[^A-Za-z0-9._]+', '-', label)[:60].strip('-')}-{own}"


def _checked_solver_axes(given: RecipeAxes, planned: Sequence[_PlannedRun]) -> Axes | None:
    """Return the axes of the solvers, checked before anything is trained."""
    runs = _require_a_run(planned)
    if not given.solving:
        return None
    axes = read_axes(given.solving, RUN_AXES, leave_out="problem dim path seed")
    check_metrics(axes.metrics, Components.of(runs[0].recipe))
    return axes


def _require_a_run(planned: Sequence[_PlannedRun]) -> list[SweepRun]:
    """Return the runs of valid combinations; raise RecipeError with the reasons if none is."""
    runs = [plan.run for plan in planned if plan.run is not None]
    if not runs:
        raise RecipeError(list(dict.fromkeys(plan.reason for plan in planned)))
    return runs


def _groups(runs: Sequence[SweepRun]) -> list[list[SweepRun]]:
    """Group the runs that share their training."""
    groups: dict[str, dict[Path, SweepRun]] = {}
    for run in runs:
        values = run.recipe.values
        trained = {k: v for k, v in values.items() if k not in AFTER_TRAINING}
        groups.setdefault(digest(trained), {})[run.folder] = run
    return [list(own.values()) for own in groups.values()]


def _first_finished(group: Sequence[SweepResult]) -> SweepResult | None:
    return next((result for result in group if not result.failure), None)


def _row(plan: _PlannedRun, by_folder: Mapping[Path, SweepResult]) -> RunRow:
    if plan.run is None:
        return RunRow(plan.combination.labels, "", reason=plan.reason)
    result = by_folder[plan.run.folder]
    seconds = None
    if not result.failure:
        facts = RunFolder(plan.run.folder, lambda line: None).facts()
        seconds = None if "trained_in" in facts else facts.get("seconds", {}).get("train")
    labels, folder = plan.combination.labels, str(plan.run.folder)
    return RunRow(labels, folder, result.results, seconds, result.failure)


def _measure_solvers(
    axes: Axes,
    networks: Sequence[SweepResult],
    planned: Sequence[_PlannedRun],
    folder: Path,
    config: BenchmarkConfig,
    emit: Callable[[str], None],
) -> SolversReport:
    """Measure the cells of every network; all rows go into one CSV file."""
    results_csv, rows = ResultsCsv(folder / "cells.csv"), list[Row]()
    facts: dict[str, Any] = {}
    for network in networks:
        own = next(p for p in planned if p.run and p.run.folder == network.run.folder)
        labels = own.combination.labels.items()
        named = {k: v for k, v in labels if k.partition(".")[0] not in NOT_IN_TITLE}
        title = str(Combination((), named)) if named else ""
        seeded = replace(axes, seed=(network.run.recipe.values["seed"],))
        problem = config.open_run(network.run.folder, folder / "references", title)
        cells = along_own_path(seeded, problem)
        plan = BenchmarkPlan.of(problem, cells, problem.name, config)
        for note in plan.budget_notes():
            emit(note)
        rows += plan.measure(results_csv)
        facts = problem.facts()
    return config.report(rows, facts)


def _description(name: str, given: RecipeAxes) -> str:
    shared = {key: values[0] for key, values in given.keys.items() if len(values) == 1}
    fixed = ", ".join(f"{key}={value}" for key, value in shared.items())
    varied = ", ".join(given.varied) or "nothing"
    return f"Recipe {name}{f' with {fixed}' if fixed else ''}; varied: {varied}."


def _write(finished: RecipeBenchmark, machine: Mapping[str, Any]) -> None:
    folder, solvers = finished.folder, finished.solvers
    write_text(folder / "runs.csv", finished.runs.csv())
    write_json(folder / "benchmark.json", {**finished.json(), "made": dict(machine)})
    write_text(folder / "benchmark.md", finished.markdown())
    write_text(folder / "benchmark.tex", finished.latex())
    if solvers is not None:
        save_pareto_plot(folder / "benchmark.png", solvers)
    write_benchmark_page(
        folder / "benchmark.html",
        solvers,
        title="Benchmark of a recipe",
        lead=finished.runs.how,
        runs=finished.runs,
    )
