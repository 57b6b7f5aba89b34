"""`fmcore table1`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fmcore.cli.completing import override_keys, recipe_names
from fmcore.cli.console import complain, table
from fmcore.cli.method_axes import numbers, split_axes
from fmcore.cli.options import engine_option, jobs_option, plugin_option, quiet_option

__all__ = ["table1"]


@click.command(short_help="The paper's Table 1 on a recipe's data.")
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
    help="Folder of the runs and the table; by default runs/table1/RECIPE.",
)
@click.option(
    "--figures/--no-figures",
    default=True,
    help="Also measure and draw quality by evaluations and during training; on by default.",
)
@click.option(
    "--budgets",
    metavar="N,N",
    help="Evaluations of midpoint in the figures; 4,8,12,20,40,100.",
)
@click.option(
    "--metric",
    metavar="NAME",
    help="Metric of samples in the figures; by default the recipe's first, or one that fits.",
)
@click.option(
    "--samples",
    type=click.IntRange(2),
    help="Samples for each point of the figures; by default the recipe's, at most 2000.",
)
@jobs_option
@engine_option
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best available.")
@plugin_option
@quiet_option
def table1(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    figures: bool,
    budgets: str | None,
    metric: str | None,
    samples: int | None,
    jobs: int | None,
    engine: str,
    device: str | None,
    quiet: bool,
) -> None:
    """Train the paper's five methods on RECIPE's data with one network and budget, and compare.

    The methods are ddpm, score_matching, scoreflow, fm_vp, fm_ot; all by default.  The same command
    resumes stopped runs and figures, and reuses finished ones.

    \b
      fmcore table1 digits seeds=0,1,2
      fmcore table1 checkerboard methods=fm_vp,fm_ot train.steps=500 --budgets 4,8,20
    """
    from fmcore.benchmark.axes import ComponentSpec
    from fmcore.benchmark.figure_options import BUDGETS, FigureOptions
    from fmcore.benchmark.table1 import table1 as make
    from fmcore.benchmark.table1_methods import METHODS
    from fmcore.recipe.load import load_recipe

    axes, rest = split_axes(overrides)
    loaded = load_recipe(recipe, rest)
    folder = out or Path("runs") / "table1" / loaded.name
    made = make(
        loaded,
        folder,
        methods=axes["methods"].split(",") if "methods" in axes else list(METHODS),
        seeds=numbers("seeds=", axes.get("seeds", str(loaded.values["seed"]))),
        figures=FigureOptions(
            numbers("--budgets ", budgets) if budgets else BUDGETS,
            ComponentSpec("metric", metric) if metric else None,
            samples,
        )
        if figures
        else None,
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
    complain(f"written to {folder}: table1.md, .tex, .json and .html")
    for name, panels in made.figures.panels.items() if made.figures else ():
        complain(f"{', '.join(p.title for p in panels)}: {folder / name}.png, .svg, .pdf")
    if made.failures:
        raise SystemExit(1)
