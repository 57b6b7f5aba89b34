"""A recipe's own keys as axes: every combination is a run, and solvers are measured on each.

The folder holds runs/ (a run for every combination, which is gone on with or taken as it is),
runs.csv, benchmark.json, .md, .tex and .html, and, where solvers were asked for, cells.csv and
benchmark.png.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from fmcore.benchmark.axes import Axes, read_axes
from fmcore.benchmark.benchmark_page import write_benchmark_page
from fmcore.benchmark.cells import digest
from fmcore.benchmark.pareto_plot import save_pareto_plot
from fmcore.benchmark.recipe_axes import Combination, RecipeAxes, read_recipe_axes
from fmcore.benchmark.results_csv import ResultsCsv, Row
from fmcore.benchmark.run_tables import RunRow, RunsReport
from fmcore.benchmark.solvers import CLOSED_FORM, RUN_AXES, BenchmarkConfig, along_own_path
from fmcore.benchmark.sweep import SweepResult, SweepRun, sweep
from fmcore.benchmark.tables import Report
from fmcore.benchmark.trained_problem import check_metrics
from fmcore.errors import FmcoreError, RecipeError
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe
from fmcore.runs.files import write_json, write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.provenance import environment
from fmcore.stages.components import Components

__all__ = ["RecipeBenchmark", "benchmark_recipe", "is_recipe"]

AFTER_TRAINING = ("sample", "evaluate", "expect")
"""Sections that do not change the network: runs that differ in them alone share their training."""


NOT_IN_TITLE = (*AFTER_TRAINING, "path", "seed")
"""What the title of a network's table leaves out: it stands there by itself, or does not matter."""


@final
@dataclass(frozen=True)
class RecipeBenchmark:
    """A finished benchmark: its folder, its runs, and the solvers on them, if any."""

    folder: Path
    runs: RunsReport
    solvers: Report | None

    def json(self) -> dict[str, Any]:
        """Everything, for other programs."""
        solvers = None if self.solvers is None else self.solvers.json()
        return {"how": self.runs.how, "runs": self.runs.json(), "solvers": solvers}

    def markdown(self) -> str:
        """The runs, then the solvers."""
        return self.runs.markdown() + (
            "" if self.solvers is None else f"\n{self.solvers.markdown()}"
        )

    def latex(self) -> str:
        """The same tables for a paper."""
        return self.runs.latex() + ("" if self.solvers is None else f"\n{self.solvers.latex()}")


@final
@dataclass(frozen=True)
class _PlannedRun:
    """A combination and its run, or the reason why there can be none."""

    combination: Combination
    member: SweepRun | None
    reason: str = ""


def is_recipe(target: str) -> bool:
    """Whether `target` is neither closed-form nor a run folder, nor looks like one."""
    place = Path(target)
    if target == CLOSED_FORM or (place / "recipe.yaml").is_file():
        return False
    return place.is_file() or len(place.parts) == 1 or target.endswith((".yaml", ".yml"))


def benchmark_recipe(
    source: str | Path,
    axes: Sequence[str] = (),
    *,
    out: Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    threads: int = 1,
    repeats: int = 5,
    reference_tol: float = 1e-8,
    quiet: bool = False,
    say: Callable[[str], None] = print,
) -> RecipeBenchmark:
    """Run every combination of `axes`, such as "path=ot,vp", on the recipe `source`; with axes of
    solvers, such as "solver=euler,rk4", measure those on each network.

    A combination that cannot be is a row with its reason.  Raises RecipeError for wrong axes, and
    if no combination can be.
    """
    recipe = load_recipe(source, partial=True)
    given = read_recipe_axes(axes, recipe)
    folder = Path("runs") / "benchmark" / recipe.name if out is None else out
    planned = [_planned(source, recipe.name, c, folder) for c in given.combinations()]
    solving = _solving(given, planned)
    measuring = BenchmarkConfig(device, threads, repeats, reference_tol, quiet)
    folder.mkdir(parents=True, exist_ok=True)
    with RunFolder(folder).claimed():
        members = [plan.member for plan in planned if plan.member is not None]
        made = sweep(_groups(members), jobs=jobs, device=device, quiet=quiet, say=say)
        by_folder = {one.member.folder: one for group in made for one in group}
        rows = [_row(plan, by_folder) for plan in planned]
        report = RunsReport(given.varied, rows, _how(recipe.name, given))
        solvers = None
        if solving is not None:
            first = [next((one for one in group if not one.failure), None) for group in made]
            trained = [one for one in first if one is not None]
            solvers = _solvers(solving, trained, planned, folder, measuring)
        finished = RecipeBenchmark(folder, report, solvers)
        _write(finished, environment(measuring.place))
    return finished


def _planned(source: str | Path, name: str, combination: Combination, folder: Path) -> _PlannedRun:
    try:
        recipe = load_recipe(source, combination.overrides, name=name)
        Components.of(recipe).check()
    except FmcoreError as error:
        return _PlannedRun(combination, None, str(error))
    return _PlannedRun(
        combination, SweepRun(str(combination), recipe, _place(folder, combination, recipe))
    )


def _place(folder: Path, combination: Combination, recipe: Recipe) -> Path:
    """The run's folder: told from others by a hash of the whole recipe, so that it is found again
    whichever axes lead there.
    """
    own = recipe.digest[:10]
    there = sorted((folder / "runs").glob(f"*-{own}"))
    if there:
        return there[0]
    said = "-".join(combination.labels.values()) or recipe.name
    return folder / "runs" / f"{re.sub(r'[^A-Za-z0-9._]+', '-', said)[:60].strip('-')}-{own}"


def _solving(given: RecipeAxes, planned: Sequence[_PlannedRun]) -> Axes | None:
    """The axes of the solvers, checked before anything is trained."""
    members = [plan.member for plan in planned if plan.member is not None]
    if not members:
        raise RecipeError(list(dict.fromkeys(plan.reason for plan in planned)))
    if not given.solving:
        return None
    axes = read_axes(given.solving, RUN_AXES, leave_out="problem dim path seed")
    check_metrics(axes.metrics, Components.of(members[0].recipe))
    return axes


def _groups(members: Sequence[SweepRun]) -> list[list[SweepRun]]:
    """The members by their training: those of a group need only one."""
    groups: dict[str, dict[Path, SweepRun]] = {}
    for member in members:
        values = member.recipe.values
        trained = {k: v for k, v in values.items() if k not in AFTER_TRAINING}
        groups.setdefault(digest(trained), {})[member.folder] = member
    return [list(own.values()) for own in groups.values()]


def _row(plan: _PlannedRun, made: Mapping[Path, SweepResult]) -> RunRow:
    if plan.member is None:
        return RunRow(plan.combination.labels, "", reason=plan.reason)
    one = made[plan.member.folder]
    seconds = None
    if not one.failure:
        facts = RunFolder(one.member.folder, lambda line: None).facts()
        seconds = None if "trained_in" in facts else facts.get("seconds", {}).get("train")
    return RunRow(
        plan.combination.labels, str(one.member.folder), one.results, seconds, one.failure
    )


def _solvers(
    axes: Axes,
    trained: Sequence[SweepResult],
    planned: Sequence[_PlannedRun],
    folder: Path,
    measuring: BenchmarkConfig,
) -> Report:
    """The cells of every network, in one CSV file."""
    results_csv, rows = ResultsCsv(folder / "cells.csv"), list[Row]()
    facts: dict[str, Any] = {}
    for one in trained:
        own = next(p for p in planned if p.member and p.member.folder == one.member.folder)
        labels = own.combination.labels.items()
        told = {k: v for k, v in labels if k.partition(".")[0] not in NOT_IN_TITLE}
        title = str(Combination((), told)) if told else ""
        seeded = replace(axes, seed=(one.member.recipe.values["seed"],))
        problem = measuring.trained(one.member.folder, folder / "references", title)
        plan = measuring.plan(problem, along_own_path(seeded, problem), problem.name)
        rows += measuring.rows(plan, results_csv)
        facts = problem.facts()
    return measuring.report(rows, facts)


def _how(name: str, given: RecipeAxes) -> str:
    shared = {key: values[0] for key, values in given.keys.items() if len(values) == 1}
    told = ", ".join(f"{key}={value}" for key, value in shared.items())
    varied = ", ".join(given.varied) or "nothing"
    return f"Recipe {name}{f' with {told}' if told else ''}; varied: {varied}."


def _write(made: RecipeBenchmark, machine: Mapping[str, Any]) -> None:
    write_text(made.folder / "runs.csv", made.runs.csv())
    write_json(made.folder / "benchmark.json", {**made.json(), "made": dict(machine)})
    write_text(made.folder / "benchmark.md", made.markdown())
    write_text(made.folder / "benchmark.tex", made.latex())
    if made.solvers is not None:
        save_pareto_plot(made.folder / "benchmark.png", made.solvers)
    write_benchmark_page(
        made.folder / "benchmark.html",
        made.solvers,
        title="Benchmark of a recipe",
        lead=made.runs.how,
        runs=made.runs,
    )
