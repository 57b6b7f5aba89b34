"""`fmcore recipes`: list, show, check, copy, compare and write recipes."""

from __future__ import annotations

import click

from fmcore.cli.guess import guess_recipe
from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["COMMANDS", "recipes"]

COMMANDS = {
    "ls": Target("fmcore.cli.recipes.ls:ls", "List the recipes that have a name (default)."),
    "show": Target(
        "fmcore.cli.recipes.show:show", "Show a recipe with all values and their origins."
    ),
    "check": Target("fmcore.cli.recipes.check:check", "Report every error in recipes."),
    "cp": Target("fmcore.cli.recipes.cp:cp", "Copy a recipe, to edit it."),
    "new": Target("fmcore.cli.recipes.new:new", "Write a recipe for a folder of images."),
    "diff": Target("fmcore.cli.recipes.diff:diff", "Compare the values of two recipes."),
}


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    default="ls",
    guess=guess_recipe,
    short_help="List, show, check, copy, compare and write recipes.",
)
def recipes() -> None:
    """List, show, check, copy, compare and write recipes; without a command, list.

    RECIPE is a file, or the name of a recipe of fmcore or of a plugin.

    \b
      fmcore recipes                          all recipes that have a name
      fmcore recipes show digits              one of them, with all values
      fmcore recipes new --data flowers       one that fits a folder of images
    """
