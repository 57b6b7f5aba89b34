"""Exit codes; one line for an expected error, a traceback for a bug."""

from __future__ import annotations

import errno
import io
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest

from fmcore import errors
from fmcore.cli import console
from fmcore.cli.outcome import exit_code_of


def raises(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (errors.RecipeError(["a:1:1: x", "a:2:1: y"]), 2, "error: a:1:1: x\na:2:1: y\n"),
        (errors.PluginError("no path"), 2, "error: no path\n"),
        (errors.TrainingError("loss is nan"), 1, "error: loss is nan\n"),
        (errors.ExpectationError("missed"), 3, "error: missed\n"),
        (errors.Interrupted("saved; resume with: x"), 130, "saved; resume with: x\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.Abort(), 130, "interrupted\n"),
        (click.UsageError("not so"), 2, "error: not so\n"),
        (click.FileError("x", "gone"), 2, "error: Could not open file 'x': gone\n"),
    ],
)
def test_an_expected_error_is_printed_without_a_traceback(capsys, error, code, printed):
    assert exit_code_of(raises(error)) == code
    assert capsys.readouterr() == ("", printed)


FULL = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (MemoryError(), "out of memory: use a smaller batch_size, or a smaller model"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 TB\nat x"),
            "out of memory ([enforce fail] DefaultCPUAllocator: can't allocate memory: 1 TB): "
            "use a smaller batch_size, or a smaller model",
        ),
        (OSError(errno.ENOSPC, FULL), f"cannot write: {FULL}"),
        (OSError(errno.ENOSPC, FULL, "a.txt"), f"a.txt: {FULL}"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "f/x"), "f/x: Not a directory"),
        (FileExistsError(errno.EEXIST, "File exists", "f"), "f: exists and is no folder"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "p", None, "f"), "f: Is a directory"),
    ],
)
def test_what_the_machine_refuses_is_one_line_and_exit_code_1(capsys, error, printed):
    assert exit_code_of(raises(error)) == 1
    assert capsys.readouterr() == ("", f"error: {printed}; FMCORE_DEBUG=1 shows where\n")


def test_debugging_shows_where_the_machine_refused(capsys, monkeypatch):
    monkeypatch.setenv("FMCORE_DEBUG", "1")
    assert exit_code_of(raises(OSError(errno.EIO, "Input/output error", "x"))) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError("no number"), RuntimeError("shapes differ")])
def test_other_errors_of_these_classes_are_bugs(capsys, error):
    assert exit_code_of(raises(error)) == 1
    assert "Traceback" in capsys.readouterr().err


def test_debugging_shows_the_traceback_of_an_expected_error(capsys, monkeypatch):
    monkeypatch.setenv("FMCORE_DEBUG", "1")
    assert exit_code_of(raises(errors.PluginError("no path"))) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_shows_its_traceback_and_asks_to_be_reported(capsys):
    assert exit_code_of(raises(ZeroDivisionError("oops"))) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "ZeroDivisionError: oops" in printed
    assert printed.endswith(
        "error: this is a bug in fmcore or in a plugin: please report it with the lines above "
        "and what `fmcore doctor` prints\n"
    )


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_a_command_may_return_its_exit_code(returned, code):
    assert exit_code_of(lambda: returned) == code


PRINTS = [sys.executable, "-m", "fmcore", "plugins", "--json"]


def test_a_closed_pipe_is_no_error():
    with subprocess.Popen(PRINTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        ended = subprocess.run(PRINTS, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        1,
        f"error: cannot write: {FULL}; FMCORE_DEBUG=1 shows where\n",
    )


def test_a_closed_stdout_is_no_error():
    ended = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(PRINTS)} >&-"], stderr=subprocess.PIPE, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_without_no_color(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.styled("x", Terminal(), fg="red") == "\x1b[31mx\x1b[0m"
    assert console.styled("x", io.StringIO(), fg="red") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.styled("x", Terminal(), fg="red") == "x"


def test_marks_are_words_where_stdout_cannot_encode_signs(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    assert console.mark("ok").strip() == "ok"
    assert console.mark("broken") == "FAILED"


def test_a_table_in_a_pipe_has_one_line_per_row(capsys):
    console.table(("A", "B"), [("x", "long " * 60), ("[red]y", "")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A       B"
    assert lines[1] == "x       " + ("long " * 60).strip()
    assert lines[2] == "[red]y"


def test_a_table_on_a_terminal_is_wrapped_to_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    console.table(("A", "B"), [("x", "long " * 20), ("[red]y", "")])
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert terminal.getvalue().count("long") == 20
    assert "[red]y" in terminal.getvalue()


def test_a_warning_of_fmcore_is_one_line_and_does_not_end_the_command(capsys):
    def warns():
        warnings.simplefilter("always")
        warnings.warn("no graphs here", errors.FmcoreWarning, stacklevel=1)

    assert exit_code_of(warns) == 0
    assert capsys.readouterr().err == "warning: no graphs here\n"


def test_warnings_of_other_libraries_are_not_changed(recwarn):
    def warns():
        warnings.simplefilter("always")
        warnings.warn("theirs", UserWarning, stacklevel=1)

    assert exit_code_of(warns) == 0
    assert [str(w.message) for w in recwarn] == ["theirs"]
