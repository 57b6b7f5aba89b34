"""A group of commands whose modules are imported when they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """A command, `"module:name"`, and its line in the group's help."""

    where: str
    summary: str


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists all without importing any.

    `default` is the command of a call without one; without a default, that call shows the help.
    `guess` returns what to type instead of arguments that begin with no command, '' if unknown.
    """

    def __init__(
        self,
        *args: Any,
        targets: Mapping[str, Target],
        default: str | None = None,
        guess: Callable[[Sequence[str]], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets
        self.default = default
        self.guess = guess

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self.targets.get(cmd_name)
        if target is None:
            return None
        command: click.Command = import_target(target.where)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # shell completion
            return super().parse_args(ctx, args)
        if self.default is not None and not self._has_command(args):
            args = [self.default, *args]
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.targets and not ctx.resilient_parsing:
            known = ", ".join(self.targets)
            ctx.fail(f"no command '{args[0]}'{self._hint(ctx, args)} commands: {known}")
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, args: list[str]) -> str:
        guessed = self.guess(args) if self.guess else ""
        if guessed:
            return f"; did you mean `{ctx.command_path} {guessed}`?"
        return did_you_mean(args[0], self.targets) or ";"

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

    def _has_command(self, args: list[str]) -> bool:
        """Return whether `args` begin with a command or ask for the group's help.

        Other options are those of the default command.
        """
        return bool(args) and (args[0] in ("-h", "--help") or not args[0].startswith("-"))
