"""A group of commands that knows what each does without importing any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import click
from click.shell_completion import CompletionItem

from fmcore.errors import did_you_mean
from fmcore.registry.entry import import_target

__all__ = ["LazyGroup", "Target"]


@final
@dataclass(frozen=True)
class Target:
    """Where a command is, `"module:name"`, and its line in the group's help."""

    where: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    `default` is the command that a bare call of the group means: its help, if there is none.
    """

    def __init__(
        self, *args: Any, targets: Mapping[str, Target], default: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets
        self.default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self.targets.get(cmd_name)
        if target is None:
            return None
        command: click.Command = import_target(target.where)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a shell asks what may come next
            return super().parse_args(ctx, args)
        if self.default is not None and not self._asks_for_a_command(args):
            args = [self.default, *args]
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.targets and not ctx.resilient_parsing:
            hint = did_you_mean(args[0], self.targets) or ";"
            known = ", ".join(self.targets)
            ctx.fail(f"no command '{args[0]}'{hint} commands: {known}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, target.summary) for name, target in self.targets.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [
            CompletionItem(name, help=target.summary)
            for name, target in self.targets.items()
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def _asks_for_a_command(self, args: list[str]) -> bool:
        """Whether `args` name a command or want the group's own help; options are the default's."""
        return bool(args) and (args[0] in ("-h", "--help") or not args[0].startswith("-"))
