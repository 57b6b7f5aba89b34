"""`fmcore recipes cp`: copy a recipe, to edit it."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import recipe_names
from fmcore.cli.options import plugin_option
from fmcore.recipe.catalog import display_path
from fmcore.recipe.load import copy_recipe

__all__ = ["cp"]


@click.command(short_help="Copy a recipe, to edit it.")
@click.argument("recipe", shell_complete=recipe_names)
@click.argument("to", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace existing files.")
@plugin_option
def cp(recipe: str, to: Path, force: bool) -> None:
    """Copy RECIPE to the file or folder TO, with the files that it extends.

    Prints the files that were written.

    \b
      fmcore recipes cp digits mine.yaml
    """
    written = copy_recipe(recipe, to, force)
    for file in written:
        click.echo(display_path(file))
    if not written:
        click.echo("nothing to copy: these files exist with the same text", err=True)
