"""`fmcore plugins`: what is installed, what it takes, whether it keeps its laws, and a new one."""

from __future__ import annotations

import click

from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["COMMANDS", "plugins"]

COMMANDS = {
    "ls": Target("fmcore.cli.plugins.ls:ls", "List components, and plugins that failed (default)."),
    "show": Target("fmcore.cli.plugins.show:show", "Show a component: options, defaults, code."),
    "check": Target("fmcore.cli.plugins.check:check", "Run the conformance suite of a component."),
    "new": Target("fmcore.cli.plugins.new:new", "Write a new plugin, ready to install and test."),
}


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    default="ls",
    short_help="List, show, check and make plugins.",
)
def plugins() -> None:
    """List, show, check and make plugins; alone it lists.

    \b
      fmcore plugins                          all of them
      fmcore plugins new my-path --kind path  one of your own

    FMCORE_PLUGINS=a,b loads only these beside the built-in ones (none: only those).
    """
