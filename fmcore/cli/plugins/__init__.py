"""`fmcore plugins`: list, show, check and create components."""

from __future__ import annotations

import click

from fmcore.cli.guess import guess_component
from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["COMMANDS", "plugins"]

COMMANDS = {
    "ls": Target("fmcore.cli.plugins.ls:ls", "List components, and plugins that failed (default)."),
    "show": Target(
        "fmcore.cli.plugins.show:show", "Show a component: options, defaults, source file."
    ),
    "check": Target("fmcore.cli.plugins.check:check", "Run the conformance suite of a component."),
    "new": Target("fmcore.cli.plugins.new:new", "Create a plugin, ready to install and test."),
}


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    default="ls",
    guess=guess_component,
    short_help="List, show, check and create plugins.",
)
def plugins() -> None:
    """List, show, check and create plugins; without a command, list.

    \b
      fmcore plugins                          all components
      fmcore plugins new my-path --kind path  a plugin of your own

    FMCORE_PLUGINS=a,b loads these and the built-in plugins; FMCORE_PLUGINS=none the built-in ones.
    """
