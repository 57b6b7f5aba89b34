"""How a command ends: what is said on stderr, and the exit code."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

import click

from fmcore.cli.console import complain
from fmcore.errors import FmcoreError, Interrupted, route_warnings
from fmcore.runs.signals import interruptible

__all__ = ["debugging", "exit_code_of"]


def debugging() -> bool:
    """Whether `FMCORE_DEBUG` asks for tracebacks."""
    return os.environ.get("FMCORE_DEBUG", "") not in ("", "0")


def exit_code_of(command: Callable[[], object]) -> int:
    """Run `command`, say how it failed if it did, and return the exit code."""
    try:
        # every signal to stop ends every command with 130, not SIGINT alone
        with interruptible(), route_warnings(lambda text: complain(text, "warning")):
            ended = command()
    except click.ClickException as error:
        return _usage(error)
    except FmcoreError as error:
        return _expected(error)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return 130
    except Exception:
        return _bug()
    return ended if isinstance(ended, int) else 0


def _usage(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    see = f"\nsee: {context.command_path} --help" if context is not None else ""
    complain(f"{error.format_message()}{see}", "error")
    return 2


def _expected(error: FmcoreError) -> int:
    if debugging():
        traceback.print_exception(error)
    complain(str(error), None if isinstance(error, Interrupted) else "error")
    return error.exit_code


def _bug() -> int:
    traceback.print_exc()
    complain(
        "this is a bug in fmcore or in a plugin: please report it with the lines above "
        "and what `fmcore doctor` prints",
        "error",
    )
    return 1
