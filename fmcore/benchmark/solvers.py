"""Benchmark solvers on closed-form problems or on a trained run, over axes.

The folder holds cells.csv (a row per cell, appended as it is measured, so that the same command
resumes), benchmark.json, .md, .tex, .html, .png and .pdf and, unless shared, references/.
Benchmarks over the keys of a recipe are in fmcore.benchmark.recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from fmcore.benchmark.axes import Axes, ComponentSpec, read_axes
from fmcore.benchmark.benchmark_page import write_benchmark_page
from fmcore.benchmark.cell_runner import BenchmarkConfig, BenchmarkPlan
from fmcore.benchmark.cells import digest
from fmcore.benchmark.closed_form_problem import ClosedFormProblem
from fmcore.benchmark.pareto_plot import save_pareto_plot
from fmcore.benchmark.results_csv import ResultsCsv
from fmcore.benchmark.tables import SolversReport
from fmcore.benchmark.trained_problem import TrainedProblem, check_metrics
from fmcore.runs.files import write_json, write_text
from fmcore.runs.folder import RunFolder

__all__ = ["CLOSED_FORM", "RUN_AXES", "Benchmark", "along_own_path", "benchmark"]

CLOSED_FORM = "closed-form"

_CLOSED_FORM_AXES = Axes(path=(ComponentSpec("path", "ot"), ComponentSpec("path", "vp")))
RUN_AXES = Axes(dtype=("float32",))


@final
@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark: its folder and its report."""

    folder: Path
    report: SolversReport


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
    emit: Callable[[str], None] = lambda line: None,
) -> Benchmark:
    """Measure `target`, "closed-form" or a run folder, over `axes` such as "solver=euler,rk4".

    `emit` is called with a line for each budget that a solver cannot use in full.  Raises
    RecipeError for wrong axes.  A cell that cannot be measured is a row with the reason.
    """
    config = BenchmarkConfig(device, threads, repeats, reference_tol, quiet)
    shared = Path("runs") / "benchmark" / "references" if out is None else out / "references"
    plan = _planned(target, axes, shared, config)
    for note in plan.budget_notes():
        emit(note)
    own = digest({"cells": [plan.key(cell) for cell in plan.cells]})
    folder = Path("runs") / "benchmark" / own if out is None else out
    with RunFolder(folder).claimed():
        rows = plan.measure(ResultsCsv(folder / "cells.csv"))
        report = config.report(rows, plan.problems.facts())
        _write(folder, report)
    return Benchmark(folder, report)


def _planned(
    target: str | Path, given: Sequence[str], references: Path, config: BenchmarkConfig
) -> BenchmarkPlan:
    if str(target) == CLOSED_FORM:
        axes = read_axes(given, _CLOSED_FORM_AXES, leave_out="metrics")
        closed_form = ClosedFormProblem(references, config.torch_device, config.quiet)
        return BenchmarkPlan.of(closed_form, axes, None, config)
    axes = read_axes(given, RUN_AXES, leave_out="problem dim")
    trained = config.open_run(Path(target), references)
    check_metrics(axes.metrics, trained.components)
    return BenchmarkPlan.of(trained, along_own_path(axes, trained), trained.name, config)


def along_own_path(axes: Axes, trained: TrainedProblem) -> Axes:
    """Return axes whose path defaults to that of the run, so that tables name it."""
    return axes if axes.path else replace(axes, path=(trained.own_path,))


def _write(folder: Path, report: SolversReport) -> None:
    write_json(folder / "benchmark.json", report.json())
    write_text(folder / "benchmark.md", report.markdown())
    write_text(folder / "benchmark.tex", report.latex())
    save_pareto_plot(folder / "benchmark.png", report)
    lead = "The error of each solver at the end point, and its cost."
    write_benchmark_page(folder / "benchmark.html", report, title="Benchmark of solvers", lead=lead)
