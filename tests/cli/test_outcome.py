"""How commands end: exit codes, one line for what was to be expected, a traceback for a bug."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings

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
    ("error", "code", "said"),
    [
        (errors.RecipeError(["a:1:1: x", "a:2:1: y"]), 2, "error: a:1:1: x\na:2:1: y\n"),
        (errors.PluginError("no path"), 2, "error: no path\n"),
        (errors.TrainingError("loss is nan"), 1, "error: loss is nan\n"),
        (errors.ExpectationError("missed"), 3, "error: missed\n"),
        (errors.Interrupted("saved; go on with: x"), 130, "saved; go on with: x\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.Abort(), 130, "interrupted\n"),
        (click.UsageError("not so"), 2, "error: not so\n"),
        (click.FileError("x", "gone"), 2, "error: Could not open file 'x': gone\n"),
    ],
)
def test_what_was_to_be_expected_is_said_without_a_traceback(capsys, error, code, said):
    assert exit_code_of(raises(error)) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", said)


def test_debugging_shows_the_traceback_of_an_expected_error(capsys, monkeypatch):
    monkeypatch.setenv("FMCORE_DEBUG", "1")
    assert exit_code_of(raises(errors.PluginError("no path"))) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_shows_its_traceback_and_asks_to_be_reported(capsys):
    assert exit_code_of(raises(ZeroDivisionError("oops"))) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError: oops" in said
    assert said.endswith(
        "error: this is a bug in fmcore or in a plugin: please report it with the lines above "
        "and what `fmcore doctor` prints\n"
    )


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_a_command_that_ends_well_may_choose_its_exit_code(returned, code):
    assert exit_code_of(lambda: returned) == code


def test_a_closed_pipe_is_no_error():
    command = [sys.executable, "-m", "fmcore", "plugins", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.styled("x", Terminal(), fg="red") == "\x1b[31mx\x1b[0m"
    assert console.styled("x", io.StringIO(), fg="red") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.styled("x", Terminal(), fg="red") == "x"


def test_marks_become_words_where_stdout_cannot_write_them(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    assert console.mark("ok").strip() == "ok"
    assert console.mark("broken") == "FAILED"


def test_a_table_in_a_pipe_keeps_every_row_on_a_line(capsys):
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


def test_a_warning_of_fmcore_is_one_line_and_ends_nothing(capsys):
    def warns():
        warnings.simplefilter("always")
        warnings.warn("no graphs here", errors.FmcoreWarning, stacklevel=1)

    assert exit_code_of(warns) == 0
    assert capsys.readouterr().err == "warning: no graphs here\n"


def test_warnings_of_others_are_left_as_they_are(recwarn):
    def warns():
        warnings.simplefilter("always")
        warnings.warn("theirs", UserWarning, stacklevel=1)

    assert exit_code_of(warns) == 0
    assert [str(w.message) for w in recwarn] == ["theirs"]
