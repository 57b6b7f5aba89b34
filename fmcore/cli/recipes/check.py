"""`fmcore recipes check`: report every error in recipes."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import recipe_words
from fmcore.cli.imports import without_collection
from fmcore.cli.options import plugin_option
from fmcore.cli.recipes.arguments import split_words
from fmcore.errors import RecipeError
from fmcore.recipe.catalog import display_path, list_recipes
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe

__all__ = ["check"]


@click.command(short_help="Report every error in recipes.")
@click.argument(
    "words", nargs=-1, metavar="[RECIPE]... [KEY=VALUE]...", shell_complete=recipe_words
)
@plugin_option
def check(words: tuple[str, ...]) -> None:
    """Check RECIPEs, or all that have a name: syntax, names, options, types, ranges, references.

    Prints every error with file, line and column, and exits with 2 if there is one.  To build the
    model too, use `fmcore run --dry-run`.

    \b
      fmcore recipes check mine.yaml train.steps=100
    """
    recipes, overrides = split_words(words)
    faults: list[str] = []
    for recipe in recipes or [str(found.file) for found in list_recipes()]:
        try:
            with without_collection():
                loaded = load_recipe(recipe, overrides, partial=True)
                loaded.check()
        except RecipeError as error:
            faults += error.faults
        else:
            click.echo(f"{display_path(Path(recipe))}: ok{_still(loaded)}")
    if faults:
        raise RecipeError(dict.fromkeys(faults))


def _still(recipe: Recipe) -> str:
    """Return a note on the values that the command line has to set before the recipe runs."""
    return f"; set {', '.join(recipe.missing)} to run it" if recipe.missing else ""
