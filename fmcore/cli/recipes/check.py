"""`fmcore recipes check`: all that is wrong with recipes."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import recipe_words
from fmcore.cli.options import plugin_option
from fmcore.cli.recipes.arguments import sorted_out
from fmcore.errors import RecipeError
from fmcore.recipe.catalog import display_path, list_recipes
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe

__all__ = ["check"]


@click.command(short_help="Find everything that is wrong with recipes.")
@click.argument(
    "words", nargs=-1, metavar="[RECIPE]... [KEY=VALUE]...", shell_complete=recipe_words
)
@plugin_option
def check(words: tuple[str, ...]) -> None:
    """Check RECIPEs, or all that have a name: syntax, names, options, types, ranges, references.

    Every fault is told with its file, line and column; the exit code is then 2.  Models are built
    by `fmcore run --dry-run`.

    \b
      fmcore recipes check mine.yaml train.steps=100
    """
    recipes, overrides = sorted_out(words)
    faults: list[str] = []
    for recipe in recipes or [str(found.file) for found in list_recipes()]:
        try:
            loaded = load_recipe(recipe, overrides, partial=True)
            loaded.check()
        except RecipeError as error:
            faults += error.faults
        else:
            click.echo(f"{display_path(Path(recipe))}: ok{_still(loaded)}")
    if faults:
        raise RecipeError(dict.fromkeys(faults))


def _still(recipe: Recipe) -> str:
    """A word on what the command line has to add before the recipe runs."""
    return f", once given {', '.join(recipe.missing)}" if recipe.missing else ""
