"""`fmcore benchmark`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import axis_keys, benchmark_targets
from fmcore.cli.console import complain, print_json, table
from fmcore.cli.options import json_option, plugin_option, quiet_option

__all__ = ["benchmark"]


@click.command(short_help="Measure solvers: error, evaluations, time.")
@click.argument("target", metavar="closed-form|RUN", shell_complete=benchmark_targets)
@click.argument("axes", nargs=-1, metavar="[AXIS=A,B]...", shell_complete=axis_keys)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the results go; by default runs/benchmark/HASH.",
)
@click.option("--device", metavar="DEVICE", default="cpu", help="cpu (default) or cuda.")
@click.option("--threads", default=1, type=click.IntRange(1), help="Threads of torch; 1.")
@click.option("--repeats", default=5, type=click.IntRange(1), help="Timed rounds a cell; 5.")
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
    device: str,
    threads: int,
    repeats: int,
    reference_tol: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure solvers on problems with known solutions (closed-form), or on a trained RUN.

    Axes are lists between commas: solver, path, grid, nfe (fixed solvers), tol (adaptive ones),
    seed, samples, batch, dtype; for closed-form also problem and dim, for a RUN also metrics.
    The same command goes on where it was stopped.

    \b
      fmcore benchmark closed-form path=ot,vp solver=midpoint,unipc,dopri5 nfe=8,16,32
      fmcore benchmark runs/digits/20260101-120000 solver=euler,midpoint metrics=fd_lite0
    """
    from fmcore.stages.benchmark import benchmark as measure

    made = measure(
        target,
        axes,
        out=out,
        device=device,
        threads=threads,
        repeats=repeats,
        reference_tol=reference_tol,
        quiet=quiet,
    )
    report = made.report
    if as_json:
        print_json(report.json())
    else:
        for title, rows in report.settings:
            click.echo(title)
            table(report.heads(), report.table(rows), spare=("µs/NFE outside", "waits/NFE"))
            click.echo()
    for line in report.refused:
        complain(f"cannot be: {line}")
    complain(f"written to {made.folder}: cells.csv, benchmark.json, benchmark.md, benchmark.png")
