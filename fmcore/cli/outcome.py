"""Exit codes of commands, and what is printed on stderr when one fails."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from fmcore.cli.console import complain
from fmcore.errors import FmcoreError, Interrupted, route_warnings, similar_to
from fmcore.runs.signals import interruptible

__all__ = ["debugging", "exit_code_of"]

SHOW_TRACEBACK = "FMCORE_DEBUG=1 shows where"
SMALLER = "use a smaller batch_size, or a smaller model"
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.I)
"""In the text of a RuntimeError: torch's CPU allocator has no exception class of its own."""
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def debugging() -> bool:
    """Return whether `FMCORE_DEBUG` asks for tracebacks."""
    return os.environ.get("FMCORE_DEBUG", "") not in ("", "0")


def exit_code_of(command: Callable[[], object]) -> int:
    """Run `command`, print why it failed if it did, and return the exit code."""
    try:
        # every signal to stop ends every command with 130, not SIGINT alone
        with interruptible(), route_warnings(lambda text: complain(text, "warning")):
            ended = command()
        _flush_stdout()
    except click.ClickException as error:
        return _usage_error(error)
    except FmcoreError as error:
        return _expected_error(error)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        # A KeyboardInterrupt inside exec of a text, as a dataclass runs one, makes CPython end with
        # SIGINT instead of the exit code, even if it was caught; the next exec resets that.
        exec("")
        return 130
    except BrokenPipeError:  # the reader has seen enough, as in `fmcore plugins | head`
        _discard_stdout()
        return 1
    except Exception as error:
        reason = _environment_fault(error)
        return _bug() if reason is None else _environment_error(error, reason)
    return ended if isinstance(ended, int) else 0


def _flush_stdout() -> None:
    """Flush here, where a full disk is reported in one line; at exit Python prints a traceback."""
    sys.stdout.flush()


def _usage_error(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    advice = [] if context is None else _advice(error, context)
    if isinstance(error, click.NoSuchOption):
        near = similar_to(error.option_name, error.possibilities or ())
        shown: Any = error  # click declares the attribute as final, and its own choice is too wide
        shown.possibilities = [near] if near and not advice else None  # click has --help for --lr
    lines = [" ".join(error.format_message().split())]  # click lists choices on lines of their own
    if context is not None:
        lines += [*advice, f"see: {context.command_path} --help"]
    complain("\n".join(lines), "error")
    return 2


def _advice(error: click.ClickException, context: click.Context) -> list[str]:
    """Return what to type instead, where the error shows what was meant."""
    command, path = context.command, re.escape(context.command_path)
    examples = re.findall(rf"^ +({path} .+?)(?:  .*)?$", command.help or "", re.M)
    if isinstance(error, click.MissingParameter):
        recipe = error.param is not None and error.param.name == "recipe"
        named = ["`fmcore recipes` lists the recipes that have a name"] if recipe else []
        return [*named, *(f"for example: {example}" for example in examples[:1])]
    if not isinstance(error, click.NoSuchOption):
        return []
    if isinstance(command, click.Group):
        if error.option_name.lower() == "-v":
            return ["fmcore --version prints the version"]
        return [f"options follow the command: {context.command_path} COMMAND {error.option_name}"]
    if any(parameter.name == "overrides" for parameter in command.params):
        known = [f"{key}=VALUE" for key in _recipe_keys(error.option_name.lstrip("-"), command)]
        settings = [word for example in examples for word in example.split() if "=" in word]
        own = similar_to(error.option_name, error.possibilities or ())
        shown = known or ([] if own else settings[:1])
        return [f"options of a recipe have no dashes: {' or '.join(shown)}"] if shown else []
    return []


def _recipe_keys(name: str, command: click.Command) -> list[str]:
    """Return the keys of a recipe that end in `name`, as this command takes them."""
    from fmcore.cli.completion_schema import read_options
    from fmcore.cli.keys import SECTIONS

    if "." in name:
        return [name]
    sections = read_options(SECTIONS)
    # fmcore sample and evaluate take the options of their own section
    own = [sections[command.name]] if command.name in sections else list(sections.values())
    keys = {s.name: read_options(s.settings) for s in own if s.settings}
    return [name if len(own) == 1 else f"{s}.{name}" for s, found in keys.items() if name in found]


def _expected_error(error: FmcoreError) -> int:
    if debugging():
        traceback.print_exception(error)
    complain(str(error), None if isinstance(error, Interrupted) else "error")
    return error.exit_code


def _environment_fault(error: Exception) -> str | None:
    """Return what the machine refused: memory, disk space, access to a file.  None for a bug."""
    text = str(error)
    torch_allocator = isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(text)
    if isinstance(error, MemoryError) or torch_allocator:
        details = f" ({text.splitlines()[0]})" if text else ""
        return f"out of memory{details}: {SMALLER}"
    if isinstance(error, OSError) and error.errno is not None:
        action = "cannot write" if error.errno in NO_SPACE else "cannot read or write"
        where = error.filename2 or error.filename or action  # filename2: the target of a rename
        what = "exists and is no folder" if error.errno == errno.EEXIST else error.strerror
        return f"{where}: {what}"
    return None


def _environment_error(error: Exception, reason: str) -> int:
    if debugging():
        traceback.print_exception(error)
    complain(f"{reason}; {SHOW_TRACEBACK}", "error")
    _discard_stdout()
    return 1


def _discard_stdout() -> None:
    """Drop what stdout refused to write, or Python fails on it again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _bug() -> int:
    traceback.print_exc()
    complain(
        "this is a bug in fmcore or in a plugin: please report it with the lines above "
        "and what `fmcore doctor` prints",
        "error",
    )
    return 1
