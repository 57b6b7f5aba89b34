"""Measure the cells of a benchmark, each once: rows that the CSV file holds are not repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import torch

from fmcore.benchmark.axes import Axes, ComponentSpec
from fmcore.benchmark.cells import Cell, Setting, cells, digest
from fmcore.benchmark.cost import costs, errors, timings
from fmcore.benchmark.pareto import mark_pareto
from fmcore.benchmark.results_csv import ResultsCsv, Row
from fmcore.benchmark.tables import SolversReport
from fmcore.benchmark.task import Task
from fmcore.benchmark.trained_problem import TrainedProblem
from fmcore.errors import ComponentError, Interrupted, SolverError, UserError
from fmcore.flow.budget import budget_note
from fmcore.interfaces.solver import Solver
from fmcore.registry import registry
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.runs.provenance import environment

__all__ = ["BenchmarkConfig", "BenchmarkPlan", "Problems"]


class Problems(Protocol):
    """A source of tasks."""

    def facts(self) -> dict[str, Any]:
        """Return what the errors depend on, except for the cell."""

    def task(self, setting: Setting) -> Task:
        """Return the task of a setting."""


@final
@dataclass(frozen=True)
class BenchmarkConfig:
    """How cells are measured: device, threads, timed rounds, and the tolerance of references.

    Raises ComponentError for a device that does not exist.
    """

    device: str = "cpu"
    threads: int = 1
    repeats: int = 5
    tol: float = 1e-8
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.device not in ("cpu", "cuda"):
            raise ComponentError(
                f"no device named '{self.device}' to benchmark on; choose cpu or cuda"
            )
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ComponentError(
                "device 'cuda' was asked for, but torch finds no CUDA device: use --device cpu"
            )

    @property
    def torch_device(self) -> torch.device:
        """The device."""
        return torch.device(self.device)

    def open_run(self, folder: Path, references: Path, title: str = "") -> TrainedProblem:
        """Return the problem of a run; `title` distinguishes it from others of its recipe."""
        opened = RunFolder.open(folder, lambda line: None)
        return TrainedProblem(
            opened, references, self.torch_device, tol=self.tol, quiet=self.quiet, title=title
        )

    def report(self, rows: Sequence[Row], facts: Mapping[str, Any]) -> SolversReport:
        """Return the rows with orders and Pareto fronts; `facts` are those of their problems."""
        provenance = {**facts, "repeats": self.repeats, **environment(self.torch_device)}
        provenance["machine"] |= {"processor": _processor(), "threads": self.threads}
        return SolversReport(mark_pareto(rows), provenance)


@final
@dataclass(frozen=True)
class BenchmarkPlan:
    """The cells to be measured on `problems`."""

    problems: Problems
    cells: Sequence[Cell]
    metrics: Sequence[ComponentSpec]
    config: BenchmarkConfig

    @classmethod
    def of(
        cls, problems: Problems, axes: Axes, name: str | None, config: BenchmarkConfig
    ) -> BenchmarkPlan:
        """Plan the cells of `axes`; `name` is that of a run's problem."""
        return cls(problems, cells(axes, name), axes.metrics, config)

    def key(self, cell: Cell) -> str:
        """Return a hash of everything that the row depends on."""
        entry = registry().entry("solver", cell.solver.name)
        facts = self.problems.facts() | {"plugin": entry.plugin, "version": entry.version}
        facts |= {
            "device": self.config.device,
            "threads": self.config.threads,
            "repeats": self.config.repeats,
        }
        return digest({"cell": cell.keys(), "metrics": list(map(str, self.metrics)), **facts})

    def budget_notes(self) -> list[str]:
        """Return a line for each solver and budget of which it uses only a part."""
        notes = []
        for cell in self.cells:
            if cell.nfe is None or cell.setting.path is None:
                continue
            try:
                notes.append(budget_note(cell.make_solver(), cell.setting.path.make(), cell.nfe))
            except UserError:  # its row gives the reason
                continue
        return [note for note in dict.fromkeys(notes) if note]

    def measure(self, results_csv: ResultsCsv) -> list[Row]:
        """Return all rows; those that `results_csv` lacks are measured and appended to it.

        Raises Interrupted if stopped.
        """
        keys = [self.key(cell) for cell in self.cells]
        keyed = zip(keys, self.cells, strict=True)
        missing = [(key, cell) for key, cell in keyed if key not in results_csv.rows]
        done = len(keys) - len(missing)
        tasks = _TaskCache(self.problems)
        try:
            with (
                _torch_threads(self.config.threads),
                progress("benchmark", len(keys), "cells", done, self.config.quiet) as show,
            ):
                for key, cell in missing:
                    row = self._blank(key, cell)
                    try:
                        row |= measure_cell(self, cell, tasks.task(cell.setting))
                    except (UserError, SolverError) as error:
                        row["reason"] = str(error)
                    results_csv.add(row)
                    done += 1
                    show(done, str(cell.solver))
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped after {done} of {len(keys)} cells; the same command resumes"
            ) from None
        return [results_csv.rows[key] for key in keys]

    def _blank(self, key: str, cell: Cell) -> Row:
        entry = registry().entry("solver", cell.solver.name)
        return {
            "key": key,
            **cell.keys(),
            "plugin": entry.plugin,
            "version": entry.version,
            "device": self.config.device,
            "threads": self.config.threads,
            "metrics": "",
            "reason": "",
        }


def measure_cell(plan: BenchmarkPlan, cell: Cell, task: Task) -> Row:
    """Return the measured columns of a cell."""
    solver: Solver = cell.make_solver()
    solver.check(task.path)
    counted, solutions = costs(task, solver)
    x = torch.cat([solution.x for solution in solutions])
    row = {
        **counted,
        **errors(x, task.reference),
        **timings(task, solver, plan.config.repeats),
    }
    if plan.metrics and isinstance(plan.problems, TrainedProblem):
        metrics = [metric.make() for metric in plan.metrics]
        row["metrics"] = json.dumps(plan.problems.measure(metrics, task, solutions))
    return row


@final
class _TaskCache:
    """The task of the last setting, or the error that creating it raised.

    A task holds the reference; cells of one setting follow each other, so one task is enough.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._setting: Setting | None = None
        self._task: Task | UserError | SolverError

    def task(self, setting: Setting) -> Task:
        if setting != self._setting:
            self._setting = setting
            try:
                self._task = self._problems.task(setting)
            except (UserError, SolverError) as error:
                self._task = error
        if isinstance(self._task, Task):
            return self._task
        raise self._task


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Run torch on `count` threads inside this context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _processor() -> str:
    """Return the processor's name, where the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
