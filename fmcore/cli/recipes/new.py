"""`fmcore recipes new`: write a recipe for a folder of images."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from fmcore.cli.completing import setting_keys
from fmcore.cli.options import plugin_option
from fmcore.errors import UserError
from fmcore.recipe.catalog import SUFFIXES, display_path

__all__ = ["new"]

MINUTES = 15.0


@click.command(short_help="Write a recipe for a folder of images.")
@click.argument(
    "words", nargs=-1, metavar="[OUT.yaml] [KEY=VALUE]...", shell_complete=setting_keys("data", "")
)
@click.option(
    "--data",
    "source",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="The images: a folder for each class, a flat folder, or another format of `fmcore data`.",
)
@click.option(
    "--minutes",
    default=MINUTES,
    type=click.FloatRange(min=0, min_open=True),
    help="About how long the run may take on this machine; 15.",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best there is.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@plugin_option
def new(
    words: tuple[str, ...], source: Path, minutes: float, device: str | None, force: bool
) -> None:
    """Write a recipe that fits the images in FOLDER: network, batch and steps for the time given.

    OUT.yaml is by default FOLDER.yaml in the current folder.  KEY=VALUE sets an option of the
    dataset: image_size=64 crops the central square of each image and averages it down.  A few
    training steps are run to measure their time.  Comments in the recipe explain each choice.

    \b
      fmcore recipes new --data flowers
      fmcore recipes new --data flowers image_size=64 small.yaml --minutes 60
    """
    settings = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise click.UsageError(f"one recipe is written, got {' and '.join(names)}")
    out = Path(names[0]) if names else Path(f"{source.resolve().name}.yaml")
    if out.suffix not in SUFFIXES:
        raise click.UsageError(f"{out}: the name of a recipe ends in .yaml")
    if out.exists() and not force:
        raise UserError(f"{out}: there is a file already; use --force to replace it")

    from fmcore.cli.recipes.fitted import fitted_recipe
    from fmcore.runs.files import write_text

    text = fitted_recipe(source, settings, minutes, device, name=out.stem, to=out)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)
    click.echo(display_path(out))
    click.echo(f"next: fmcore run {shlex.quote(display_path(out))}", err=True)
