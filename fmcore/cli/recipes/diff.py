"""`fmcore recipes diff`: compare the values of two recipes."""

from __future__ import annotations

import click

from fmcore.cli.completing import recipe_words
from fmcore.cli.console import print_json, table
from fmcore.cli.options import json_option, plugin_option
from fmcore.cli.recipes.arguments import split_words
from fmcore.recipe.diff import ABSENT, Difference, format_value
from fmcore.recipe.diff import diff as compared
from fmcore.recipe.load import load_recipe

__all__ = ["diff"]


@click.command(short_help="Compare the values of two recipes.")
@click.argument("words", nargs=-1, metavar="A [B] [KEY=VALUE]...", shell_complete=recipe_words)
@plugin_option
@json_option
def diff(words: tuple[str, ...], as_json: bool) -> None:
    """Compare recipe A with recipe B, or with itself; KEY=VALUE overrides the second one.

    Defaults count as values: writing one out makes no difference.

    \b
      fmcore recipes diff cifar10 cifar10_paper
      fmcore recipes diff digits path=vp
    """
    recipes, overrides = split_words(words)
    if len(recipes) != 2 and not (len(recipes) == 1 and overrides):
        raise click.UsageError("give two recipes, or one recipe and KEY=VALUE")
    left = load_recipe(recipes[0], partial=True)
    right = load_recipe(recipes[-1], overrides, partial=True)
    found = compared(left, right)
    if as_json:
        print_json([_as_dict(difference) for difference in found])
    elif found:
        rows = [(d.key, format_value(d.left), format_value(d.right)) for d in found]
        table(("KEY", recipes[0], " ".join([recipes[-1], *overrides])), rows)
    else:
        click.echo("no difference")


def _as_dict(difference: Difference) -> dict[str, object]:
    """Return a difference as a dictionary, without the side that does not have the key."""
    sides = {"left": difference.left, "right": difference.right}
    return {"key": difference.key} | {k: v for k, v in sides.items() if v is not ABSENT}
