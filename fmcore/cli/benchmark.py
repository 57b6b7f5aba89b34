"""`fmcore benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmcore.cli.completing import axis_keys, benchmark_targets
from fmcore.cli.console import complain, print_json, table
from fmcore.cli.options import (
    engine_option,
    jobs_option,
    json_option,
    plugin_option,
    quiet_option,
)
from fmcore.errors import UserError, similar_to
from fmcore.recipe.catalog import list_recipes

if TYPE_CHECKING:
    from fmcore.benchmark.recipes import RecipeBenchmark
    from fmcore.benchmark.tables import SolversReport

__all__ = ["benchmark"]

CLOSED_FORM = "closed-form"

SPARE = ("grid", "order", "µs/NFE outside", "waits/NFE")
"""Columns that a narrow terminal leaves out; the files contain them."""


@click.command(short_help="Measure solvers, or the runs of a recipe, over axes.")
@click.argument("target", metavar="closed-form|RUN|RECIPE", shell_complete=benchmark_targets)
@click.argument("axes", nargs=-1, metavar="[AXIS=A,B]...", shell_complete=axis_keys)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the results; by default runs/benchmark/HASH, for a RECIPE runs/benchmark/NAME.",
)
@jobs_option
@engine_option
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="Print a `fmcore run` command for each run of a RECIPE, for a job scheduler.",
)
@click.option("--device", metavar="DEVICE", default="cpu", help="cpu (default) or cuda.")
@click.option("--threads", default=1, type=click.IntRange(1), help="Threads of torch; 1.")
@click.option("--repeats", default=5, type=click.IntRange(1), help="FieldTimer rounds a cell; 5.")
@click.option(
    "--reference-tol",
    default=1e-8,
    type=click.FloatRange(0, 1, min_open=True),
    help="Tolerance of the reference solve of a RUN; 1e-8.",
)
@plugin_option
@json_option
@quiet_option
def benchmark(
    target: str,
    axes: tuple[str, ...],
    out: Path | None,
    jobs: int | None,
    engine: str,
    listed: bool,
    device: str,
    threads: int,
    repeats: int,
    reference_tol: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure solvers on problems with known solutions (closed-form) or on a trained RUN; or train
    and evaluate every combination of a RECIPE's values.

    Axes are lists separated by commas.  Of solvers: solver, grid, nfe (fixed solvers), tol
    (adaptive solvers), samples, batch, dtype, path, seed; for closed-form also problem and dim, for
    a RUN also metrics.  Of a RECIPE: its keys, and solver, grid, nfe, ... for solvers on each
    network.  The same command resumes a stopped benchmark.

    \b
      fmcore benchmark closed-form path=ot,vp solver=midpoint,unipc,dopri5 nfe=8,16,32
      fmcore benchmark runs/digits/20260101-120000 solver=euler,midpoint metrics=fd_lite0
      fmcore benchmark checkerboard path=ot,vp seed=0,1 train.steps=500
      fmcore benchmark checkerboard path=ot,vp seed=0,1 --list | parallel
    """
    from fmcore.benchmark.recipes import benchmark_recipe, is_recipe, list_commands
    from fmcore.benchmark.solvers import benchmark as measure

    shared: dict[str, Any] = {
        "out": out,
        "device": device,
        "threads": threads,
        "repeats": repeats,
        "reference_tol": reference_tol,
        "quiet": quiet,
    }
    if target != CLOSED_FORM and not Path(target).exists():
        names = [CLOSED_FORM, *(recipe.name for recipe in list_recipes())]
        if similar_to(target, names) == CLOSED_FORM:
            raise UserError(f"no recipe and no run '{target}'; did you mean '{CLOSED_FORM}'?")
    if listed:
        if not is_recipe(target):
            raise UserError(f"--list needs a recipe: the solvers on '{target}' are one process")
        for line in list_commands(target, axes, out=out, device=device):
            click.echo(line)
        return
    if is_recipe(target):
        made = benchmark_recipe(target, axes, jobs=jobs, engine=engine, emit=complain, **shared)
        _print_runs(made, as_json)
        return
    found = measure(target, axes, emit=_ignore if quiet else complain, **shared)
    if as_json:
        print_json(found.report.json())
    else:
        _print_tables(found.report)
    _print_refused(found.report.refused)
    files = "cells.csv, benchmark.json, .md, .tex, .html, .png and .pdf"
    complain(f"written to {found.folder}: {files}")


def _print_runs(made: RecipeBenchmark, as_json: bool) -> None:
    if as_json:
        print_json(made.json())
    else:
        table(*made.runs.table())
        for note in made.runs.notes:
            complain(note)
        over = made.runs.over_seeds()
        if over is not None:
            click.echo("\nover seeds: mean ± standard deviation")
            table(*over)
        if made.solvers is not None:
            click.echo()
            _print_tables(made.solvers)
    _print_refused([*made.runs.refused, *(made.solvers.refused if made.solvers else ())])
    complain(f"written to {made.folder}: runs.csv, benchmark.json, .md, .tex and .html")
    if all(row.reason for row in made.runs.rows):
        raise SystemExit(1)


def _print_tables(report: SolversReport) -> None:
    for title, rows in report.settings:
        click.echo(title)
        table(report.heads(), report.table(rows), spare=SPARE)
        click.echo()
    for line in report.unfinished:
        complain(f"* {line}")


def _print_refused(lines: list[str]) -> None:
    for line in lines:
        complain(f"not measured: {line}")


def _ignore(line: str) -> None:
    """Print nothing."""
