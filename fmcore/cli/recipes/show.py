"""`fmcore recipes show`: a recipe with all values and their origins."""

from __future__ import annotations

import click

from fmcore.cli.completing import override_keys, recipe_names
from fmcore.cli.console import print_json
from fmcore.cli.imports import without_collection
from fmcore.cli.options import json_option, plugin_option
from fmcore.recipe.diff import annotate
from fmcore.recipe.load import load_recipe
from fmcore.recipe.nodes import walk
from fmcore.recipe.recipe import Recipe

__all__ = ["show"]


@click.command(short_help="Show a recipe with all values and their origins.")
@click.argument("recipe", shell_complete=recipe_names)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=override_keys())
@plugin_option
@json_option
def show(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show RECIPE as it would run: with the recipes it extends, overrides and all defaults.

    A comment after each value names its origin.  A value `???` has to be set before it can run.

    \b
      fmcore recipes show digits path=vp
    """
    with without_collection():
        loaded = load_recipe(recipe, overrides, partial=True)
    if as_json:
        print_json(_as_dict(loaded))
    else:
        click.echo(annotate(loaded), nl=False)


def _as_dict(recipe: Recipe) -> dict[str, object]:
    return {
        "name": recipe.name,
        "path": None if recipe.path is None else str(recipe.path),
        "digest": recipe.digest,
        "missing": list(recipe.missing),
        "values": recipe.values,
        "origins": {key: str(leaf.origin) for key, leaf in walk(recipe.completed)},
    }
