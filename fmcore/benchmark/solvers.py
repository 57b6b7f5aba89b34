"""Measure solvers on closed-form problems, or on a trained run: every cell of the axes, each once.

The folder holds cells.csv (a row a cell, appended as it is measured: the same command goes on
where it was stopped), benchmark.json, .md, .tex, .html, .png and .pdf and, unless shared,
references/.  A recipe's own keys are the axes of fmcore.benchmark.recipes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, final

import torch

from fmcore.benchmark.axes import Axes, ComponentSpec, read_axes
from fmcore.benchmark.benchmark_page import write_benchmark_page
from fmcore.benchmark.cells import Cell, Setting, cells, digest
from fmcore.benchmark.closed_form_problem import ClosedFormProblem
from fmcore.benchmark.cost import costs, errors, timings
from fmcore.benchmark.pareto import mark_pareto
from fmcore.benchmark.pareto_plot import save_pareto_plot
from fmcore.benchmark.results_csv import ResultsCsv, Row
from fmcore.benchmark.tables import Report
from fmcore.benchmark.task import Task
from fmcore.benchmark.trained_problem import TrainedProblem, check_metrics
from fmcore.errors import ComponentError, Interrupted, SolverError, UserError
from fmcore.interfaces.solver import Solver
from fmcore.registry import registry
from fmcore.runs.files import write_json, write_text
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.runs.provenance import environment

__all__ = ["CLOSED_FORM", "RUN_AXES", "Benchmark", "BenchmarkConfig", "along_own_path", "benchmark"]

CLOSED_FORM = "closed-form"

_CLOSED_FORM_AXES = Axes(path=(ComponentSpec("path", "ot"), ComponentSpec("path", "vp")))
RUN_AXES = Axes(dtype=("float32",))


class Problems(Protocol):
    """Where tasks come from."""

    def facts(self) -> dict[str, Any]:
        """What the errors depend on beside the cell."""

    def task(self, setting: Setting) -> Task:
        """The task of a setting."""


@final
@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark: its folder and its report."""

    folder: Path
    report: Report


@final
@dataclass(frozen=True)
class _Plan:
    """What is to be measured, and how."""

    problems: Problems
    cells: Sequence[Cell]
    metrics: Sequence[ComponentSpec]
    device: torch.device
    threads: int
    repeats: int

    def key(self, cell: Cell) -> str:
        entry = registry().entry("solver", cell.solver.name)
        facts = self.problems.facts() | {"plugin": entry.plugin, "version": entry.version}
        facts |= {"device": self.device.type, "threads": self.threads, "repeats": self.repeats}
        return digest({"cell": cell.keys(), "metrics": list(map(str, self.metrics)), **facts})

    def blank(self, cell: Cell) -> Row:
        """The row of a cell before anything is measured."""
        entry = registry().entry("solver", cell.solver.name)
        return {
            "key": self.key(cell),
            **cell.keys(),
            "plugin": entry.plugin,
            "version": entry.version,
            "device": self.device.type,
            "threads": self.threads,
            "metrics": "",
            "reason": "",
        }


def benchmark(
    target: str | Path,
    axes: Sequence[str] = (),
    *,
    out: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    repeats: int = 5,
    reference_tol: float = 1e-8,
    quiet: bool = False,
) -> Benchmark:
    """Measure `target`, "closed-form" or a run folder, over `axes` such as "solver=euler,rk4".

    Raises RecipeError for wrong axes.  A cell that cannot be is a row with its reason.
    """
    measuring = BenchmarkConfig(device, threads, repeats, reference_tol, quiet)
    shared = Path("runs") / "benchmark" / "references" if out is None else out / "references"
    problems, chosen, name = _opened(target, axes, shared, measuring)
    plan = measuring.plan(problems, chosen, name)
    own = digest({"cells": [plan.key(cell) for cell in plan.cells]})
    folder = Path("runs") / "benchmark" / own if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    with RunFolder(folder).claimed():
        rows = measuring.rows(plan, ResultsCsv(folder / "cells.csv"))
        report = measuring.report(rows, problems.facts())
        _write(folder, report)
    return Benchmark(folder, report)


@final
@dataclass(frozen=True)
class BenchmarkConfig:
    """How cells are measured: where, on how many threads, in how many timed rounds, and against
    reference solves of which tolerance.
    """

    device: str = "cpu"
    threads: int = 1
    repeats: int = 5
    tol: float = 1e-8
    quiet: bool = False

    def __post_init__(self) -> None:
        _device(self.device)

    @property
    def place(self) -> torch.device:
        """The device.  Raises ComponentError for one that is not there."""
        return _device(self.device)

    def trained(self, folder: Path, references: Path, title: str = "") -> TrainedProblem:
        """The problem of a run; `title` tells it from others of its recipe."""
        opened = RunFolder.open(folder, lambda line: None)
        return TrainedProblem(
            opened, references, self.place, tol=self.tol, quiet=self.quiet, title=title
        )

    def plan(self, problems: Problems, axes: Axes, name: str | None) -> _Plan:
        """The cells of `axes` on `problems`."""
        return _Plan(
            problems, cells(axes, name), axes.metrics, self.place, self.threads, self.repeats
        )

    def rows(self, plan: _Plan, results_csv: ResultsCsv) -> list[Row]:
        """The rows of `plan`; those that `results_csv` lacks are measured."""
        with _threads(self.threads):
            return _measured(plan, results_csv, self.quiet)

    def report(self, rows: Sequence[Row], facts: Mapping[str, Any]) -> Report:
        """The rows with orders and fronts; `facts` are of their problems."""
        made = {**facts, "repeats": self.repeats, **environment(self.place)}
        made["machine"] |= {"processor": _processor(), "threads": self.threads}
        return Report(mark_pareto(rows), made)


def _opened(
    target: str | Path, given: Sequence[str], references: Path, measuring: BenchmarkConfig
) -> tuple[Problems, Axes, str | None]:
    if str(target) == CLOSED_FORM:
        axes = read_axes(given, _CLOSED_FORM_AXES, leave_out="metrics")
        return ClosedFormProblem(references, measuring.place, measuring.quiet), axes, None
    axes = read_axes(given, RUN_AXES, leave_out="problem dim")
    trained = measuring.trained(Path(target), references)
    check_metrics(axes.metrics, trained.components)
    return trained, along_own_path(axes, trained), trained.name


def along_own_path(axes: Axes, trained: TrainedProblem) -> Axes:
    """Axes that name the path of the run, unless they name others: the table says which."""
    return axes if axes.path else replace(axes, path=(trained.own_path,))


def _measured(plan: _Plan, results_csv: ResultsCsv, quiet: bool) -> list[Row]:
    """The rows of the plan; those that are missing are measured, setting by setting."""
    keys = [plan.key(cell) for cell in plan.cells]
    missing = [c for key, c in zip(keys, plan.cells, strict=True) if key not in results_csv.rows]
    done = len(keys) - len(missing)
    tasks = _Tasks(plan.problems)
    try:
        with progress("benchmark", len(keys), "cells", done, quiet) as show:
            for cell in missing:
                results_csv.add(plan.blank(cell) | _measured_or_reason(plan, cell, tasks))
                done += 1
                show(done, str(cell.solver))
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped after {done} of {len(keys)} cells; the same command goes on"
        ) from None
    return [results_csv.rows[key] for key in keys]


@final
class _Tasks:
    """The task of the last setting asked for, or the reason why there is none."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._setting: Setting | None = None
        self._made: Task | UserError | SolverError

    def of(self, setting: Setting) -> Task:
        if setting != self._setting:
            self._setting = setting
            try:
                self._made = self._problems.task(setting)
            except (UserError, SolverError) as error:
                self._made = error
        if isinstance(self._made, Task):
            return self._made
        raise self._made


def _measured_or_reason(plan: _Plan, cell: Cell, tasks: _Tasks) -> Row:
    try:
        return _cell(plan, cell, tasks.of(cell.setting))
    except (UserError, SolverError) as error:
        return {"reason": str(error)}


def _cell(plan: _Plan, cell: Cell, task: Task) -> Row:
    solver: Solver = cell.make_solver()
    solver.check(task.path)
    counted, solutions = costs(task, solver)
    x = torch.cat([solution.x for solution in solutions])
    row = {
        **counted,
        **errors(x, task.reference),
        **timings(task, solver, plan.repeats),
    }
    if plan.metrics and isinstance(plan.problems, TrainedProblem):
        made = [metric.make() for metric in plan.metrics]
        row["metrics"] = json.dumps(plan.problems.measure(made, task, solutions))
    return row


def _write(folder: Path, report: Report) -> None:
    write_json(folder / "benchmark.json", report.json())
    write_text(folder / "benchmark.md", report.markdown())
    write_text(folder / "benchmark.tex", report.latex())
    save_pareto_plot(folder / "benchmark.png", report)
    lead = "How far each solver ends from the true end, and what it costs to get there."
    write_benchmark_page(folder / "benchmark.html", report, title="Benchmark of solvers", lead=lead)


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise ComponentError(f"no device named '{name}' to benchmark on; choose cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ComponentError("device 'cuda' was asked for, but torch sees no CUDA device")
    return torch.device(name)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
