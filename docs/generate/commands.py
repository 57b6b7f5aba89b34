"""The page docs/reference/cli.md: `--help` of every command, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click

from fmcore.cli import command_line

__all__ = ["command_page"]

HEAD = """\
# Commands

Generated from the code by `python docs/generate`: the output of `--help` of every command.

Results go to stdout, progress and log to stderr. Exit codes: 0 success; 1 the run failed; 2 wrong
recipe or usage; 3 an `expect:` bound was missed; 130 interrupted. `FMCORE_DEBUG=1` shows
tracebacks, `NO_COLOR=1` turns colours off.
"""
WIDTH = 78  # click leaves two of 80 columns free


def command_page() -> str:
    """Return the page: a section for each command, subcommands after their group."""
    return HEAD + "".join(map(_section, _walk(command_line, "fmcore", None)))


def _walk(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    settings = dict(command.context_settings) | {"terminal_width": WIDTH}
    context = command.context_class(command, parent=parent, info_name=name, **settings)
    yield context
    if not isinstance(command, click.Group):
        return
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        if found is not None and not found.hidden:
            yield from _walk(found, below, context)


def _section(context: click.Context) -> str:
    text = "\n".join(line.rstrip() for line in context.command.get_help(context).splitlines())
    return f"\n## {context.command_path}\n\n```text\n{text}\n```\n"
