"""`fmcore recipes diff`: what two recipes say differently."""

from __future__ import annotations

import click

from fmcore.cli.completing import recipe_words
from fmcore.cli.console import print_json, table
from fmcore.cli.options import json_option, plugin_option
from fmcore.cli.recipes.arguments import sorted_out
from fmcore.recipe.diff import ABSENT, Difference, format_value
from fmcore.recipe.diff import diff as compared
from fmcore.recipe.load import load_recipe

__all__ = ["diff"]


@click.command(short_help="Compare what two recipes say.")
@click.argument("words", nargs=-1, metavar="A [B] [KEY=VALUE]...", shell_complete=recipe_words)
@plugin_option
@json_option
def diff(words: tuple[str, ...], as_json: bool) -> None:
    """Compare recipe A with B, or with itself, where KEY=VALUE overrides the second.

    Both are compared in full: a default that is written out is no difference.

    \b
      fmcore recipes diff cifar10 cifar10_paper
      fmcore recipes diff digits path=vp
    """
    recipes, overrides = sorted_out(words)
    if len(recipes) not in (1, 2):
        raise click.UsageError("give one recipe and what to override, or two recipes")
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
    """A side that does not have the key is left out."""
    sides = {"left": difference.left, "right": difference.right}
    return {"key": difference.key} | {k: v for k, v in sides.items() if v is not ABSENT}
