"""`fmcore recipes`: what can be run, what a recipe says in full, whether it is right."""

from __future__ import annotations

import click

from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["COMMANDS", "recipes"]

COMMANDS = {
    "ls": Target("fmcore.cli.recipes.ls:ls", "List the recipes that have a name (default)."),
    "show": Target("fmcore.cli.recipes.show:show", "Show a recipe in full, each value's source."),
    "check": Target(
        "fmcore.cli.recipes.check:check", "Find everything that is wrong with recipes."
    ),
    "cp": Target("fmcore.cli.recipes.cp:cp", "Copy a recipe to start your own from."),
    "diff": Target("fmcore.cli.recipes.diff:diff", "Compare what two recipes say."),
}


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    default="ls",
    short_help="List, show, check, copy and compare recipes.",
)
def recipes() -> None:
    """List, show, check, copy and compare recipes; alone it lists.

    RECIPE is a file, or the name of a recipe that comes with fmcore or a plugin.

    \b
      fmcore recipes                          all that have a name
      fmcore recipes show digits              one of them in full
    """
