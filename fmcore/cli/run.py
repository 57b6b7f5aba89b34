"""`fmcore run`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.options import plugin_option, quiet_option

__all__ = ["run"]


@click.command(short_help="Train, sample and evaluate what a recipe describes.")
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The run folder; by default a new one under runs/.  Given again, the run goes on.",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best there is.")
@plugin_option
@quiet_option
def run(
    recipe: str, overrides: tuple[str, ...], out: Path | None, device: str | None, quiet: bool
) -> None:
    """Train, sample and evaluate what RECIPE describes, whichever sections it has.

    RECIPE is a file or the name of a recipe.  KEY=VALUE overrides an option: train.steps=100.
    """
    from fmcore import stages

    made = stages.run(recipe, overrides, out=out, device=device, quiet=quiet)
    click.echo(made.folder.root)
