"""`fmcore completion`: shell completion of commands, recipes, components and keys."""

from __future__ import annotations

import sys

import click

from fmcore.cli.console import complain
from fmcore.cli.shells import SHELLS, VARIABLE

__all__ = ["INSTALL", "NOW", "completion"]

INSTALL = {
    "bash": "fmcore completion bash > ~/.local/share/bash-completion/completions/fmcore",
    "zsh": "fmcore completion zsh > ~/.zfunc/_fmcore  (a folder of your $fpath)",
    "fish": "fmcore completion fish > ~/.config/fish/completions/fmcore.fish",
}
NOW = {
    "bash": 'eval "$(fmcore completion bash)"',
    "zsh": 'eval "$(fmcore completion zsh)"',
    "fish": "fmcore completion fish | source",
}


@click.command(short_help="Print what makes a shell complete fmcore's words.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes commands, recipes, components and KEY=VALUE.

    \b
      eval "$(fmcore completion bash)"          now; in ~/.bashrc, always
      eval "$(fmcore completion zsh)"           now; in ~/.zshrc, always
      fmcore completion fish | source           now
    """
    made = SHELLS[shell](ctx.find_root().command, {}, "fmcore", VARIABLE)
    script = made.source_template % made.source_vars()
    head = "" if shell != "zsh" else "#compdef fmcore\n"
    body = script.removeprefix(head)
    click.echo(f"{head}# now:       {NOW[shell]}\n# for good:  {INSTALL[shell]}\n{body}", nl=False)
    if sys.stdout.isatty():
        complain(f"\nthis is the script; to use it now: {NOW[shell]}")
