"""`fmcore run`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import override_keys, recipe_names
from fmcore.cli.imports import without_collection
from fmcore.cli.options import changes_option, plugin_option, quiet_option
from fmcore.cli.summary import summary

__all__ = ["run"]


@click.command(short_help="Train, sample and evaluate, as a recipe describes.")
@click.argument("recipe", shell_complete=recipe_names)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=override_keys())
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The run folder; by default a new one under runs/.  Given again, the run is resumed.",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best there is.")
@click.option(
    "--dry-run", is_flag=True, help="Print what it would take, and what is missing; do nothing."
)
@changes_option
@plugin_option
@quiet_option
def run(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    device: str | None,
    dry_run: bool,
    accept_changes: bool,
    quiet: bool,
) -> None:
    """Train, sample and evaluate, as RECIPE describes; a section that it lacks is skipped.

    RECIPE is a file or a name that `fmcore recipes` lists.  KEY=VALUE overrides an option.

    \b
      fmcore run digits train.steps=100
      fmcore run digits --out runs/first        (again: resumes where it stopped)
      fmcore run cifar10 --dry-run              (what it would take)
    """
    from fmcore.runs.signals import end_with_parent

    end_with_parent()  # before the imports that take long
    with without_collection():
        from fmcore import stages
        from fmcore.recipe.load import load_recipe

    if dry_run:
        loaded = load_recipe(recipe, overrides, partial=True)
        click.echo("\n".join(stages.dry_run(loaded, device, probe=True).lines()))
        return
    made = stages.run(
        recipe,
        overrides,
        out=out,
        device=device,
        quiet=quiet,
        accept_changes=accept_changes,
        check=False,
    )
    if made.folder.is_main:  # of several processes one prints
        # the results before the bounds: they are needed most when a bound was missed
        click.echo(summary(made.folder.root, made.results))
        made.check_expectations()
