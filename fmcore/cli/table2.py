"""`fmcore table2`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fmcore.cli.completing import override_keys, recipe_names
from fmcore.cli.console import complain, table
from fmcore.cli.method_axes import numbers, split_axes
from fmcore.cli.options import engine_option, jobs_option, plugin_option, quiet_option
from fmcore.cli.output_file import OutputFile

__all__ = ["table2"]


@click.command(short_help="The paper's Table 2 on a recipe of super-resolution.")
@click.argument("recipe", shell_complete=recipe_names)
@click.argument(
    "overrides",
    nargs=-1,
    metavar="[methods=A,B] [seeds=0,1] [KEY=VALUE]...",
    shell_complete=override_keys(),
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the runs and the table; by default runs/table2/RECIPE.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=OutputFile(".html", ".htm"),
    help="Also write an HTML page with the curves and samples of the runs.",
)
@jobs_option
@engine_option
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best available.")
@plugin_option
@quiet_option
def table2(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    html: Path | None,
    jobs: int | None,
    engine: str,
    device: str | None,
    quiet: bool,
) -> None:
    """Train a regression and the flow of RECIPE, a super-resolution, with one network and budget.

    The methods are regression and flow.  The table has the metrics of RECIPE and the numbers that
    the paper prints.  The same command resumes stopped runs, and reuses finished ones.

    \b
      fmcore table2 digits_superres seeds=0,1
      fmcore table2 fashion_superres train.steps=400 --html table2.html
    """
    from fmcore.benchmark.table2 import table2 as make
    from fmcore.recipe.load import load_recipe

    axes, rest = split_axes(overrides)
    loaded = load_recipe(recipe, rest)
    folder = out or Path("runs") / "table2" / loaded.name
    made = make(
        loaded,
        folder,
        methods=axes.get("methods", "regression,flow").split(","),
        seeds=numbers("seeds=", axes.get("seeds", str(loaded.values["seed"]))),
        jobs=jobs,
        engine=engine,
        device=device,
        quiet=quiet,
        emit=complain,
    )
    if sys.stdout.isatty():
        table(*made.table())
        click.echo(f"\n{made.how}")
        for note in made.notes:
            complain(note)
    else:
        click.echo(made.markdown(), nl=False)
    complain(f"written to {folder}: table2.md, .tex and .json")
    if html is not None:
        from fmcore.benchmark.compare_page import write_table2_page

        write_table2_page(html, made)
        complain(f"written to {html}")
    if made.failures:
        raise SystemExit(1)
