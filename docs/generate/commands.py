"""docs/reference/cli.md: what `--help` of every command prints, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

import click

from fmcore.cli import command_line

__all__ = ["command_page"]

HEAD = """\
# Commands

Made from the code by `python docs/generate`; what follows is what `--help` prints.

stdout is the result, stderr progress and log. Exit codes: 0 ok; 1 the run failed; 2 wrong recipe
or usage; 3 an `expect:` bound was missed; 130 interrupted. `FMCORE_DEBUG=1` shows tracebacks,
`NO_COLOR=1` turns colours off.
"""
WIDTH = 80


def command_page() -> str:
    """The page: a section a command, sections of subcommands after their group's."""
    root = click.Context(command_line, info_name="fmcore", terminal_width=WIDTH)
    parts = (_section(context) for context in _walk(root))
    return HEAD + "".join(parts)


def _walk(context: click.Context) -> Iterator[click.Context]:
    yield context
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else ():
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            made = type(command).context_class
            settings = dict(command.context_settings) | {"terminal_width": WIDTH}
            yield from _walk(made(command, parent=context, info_name=name, **settings))


def _section(context: click.Context) -> str:
    text = "\n".join(line.rstrip() for line in context.command.get_help(context).splitlines())
    return f"\n## {context.command_path}\n\n```text\n{text}\n```\n"
