"""What is printed fits a terminal, and is plain elsewhere."""

from __future__ import annotations

import sys

import click
import pytest

from fmcore.cli.console import complain, folded, table
from fmcore.cli.plugins.ls import _print_groups
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS

HEADS = ("NAME", "SUMMARY", "FILE")
ROWS = [("sliced_wasserstein", "between points, over random directions of the plane", "/a/b/c.py")]


@pytest.fixture
def terminal(monkeypatch):
    """stdout and stderr are a terminal of so many columns."""

    def resize(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)

    return resize


def test_a_wide_terminal_shows_every_column(terminal, capsys):
    terminal(120)
    table(HEADS, ROWS, spare=("FILE",))
    printed = capsys.readouterr()
    assert "/a/b/c.py" in printed.out
    assert printed.err == ""


def test_a_narrow_terminal_leaves_out_spare_columns_and_says_so(terminal, capsys):
    terminal(60)
    table(HEADS, ROWS, spare=("FILE",))
    printed = capsys.readouterr()
    assert "sliced_wasserstein" in printed.out
    assert "/a/b/c.py" not in printed.out
    assert max(len(click.unstyle(line)) for line in printed.out.splitlines()) <= 60
    assert "the terminal is too narrow for: FILE" in printed.err


@pytest.mark.parametrize("columns", [30, 50, 80])
def test_no_number_is_cut_off_however_narrow_it_gets(terminal, capsys, columns):
    terminal(columns)
    numbers = [f"{n}.{n}e-05" for n in range(12)]
    table([f"c{n}" for n in range(12)], [numbers])
    printed = click.unstyle(capsys.readouterr().out)
    assert all(f"c{n}" in printed.split() for n in range(12))
    assert all(number in printed.split() for number in numbers)
    assert max(map(len, printed.splitlines())) <= columns


def test_words_are_not_broken_and_sentences_are_folded_between_them(terminal, capsys):
    terminal(80)
    heads = ["run", "model.name", "bits_per_dim", "what differs between the runs"]
    sentence = "another extractor and another count of examples " * 3
    table(heads, [["runs/digits/20260101-120000", "residual_unet", "3.02 ± 0.013", sentence]])
    printed = click.unstyle(capsys.readouterr().out)
    assert max(map(len, printed.splitlines())) <= 80
    assert {"runs/digits/20260101-120000", "residual_unet", "3.02"} <= set(printed.split())
    assert printed.split().count("extractor") == 3


def test_heads_are_folded_between_words_before_a_column_goes_or_a_name_is_broken(terminal, capsys):
    terminal(24)
    table(("solver", "NFE at most", "order"), [("midpoint", "16", "2.0")], spare=("order",))
    printed = capsys.readouterr()
    lines = [click.unstyle(line).split() for line in printed.out.splitlines()]
    assert lines == [["NFE"], ["at"], ["solver", "most", "order"], ["midpoint", "16", "2.0"]]
    assert printed.err == ""


def test_a_pipe_gets_every_column_on_a_line_of_its_own(capsys):
    table(HEADS, ROWS, spare=("FILE",))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_messages_are_broken_between_words_on_a_terminal_alone(terminal, capsys):
    text = "the quick brown fox jumps over /a/very/long/path/that/stays/whole.yaml"
    assert folded(text) == text
    terminal(30)
    lines = folded(text, indent=2).splitlines()
    assert lines[0] == "the quick brown fox jumps over"
    assert lines[1].endswith("/a/very/long/path/that/stays/whole.yaml")
    complain(text, "error")
    told = capsys.readouterr().err.splitlines()
    assert max(len(click.unstyle(line)) for line in told if "/" not in line) <= 30


def test_no_color_is_honoured(terminal, capsys, monkeypatch):
    terminal(80)
    complain("no", "error")
    assert "\x1b[31m" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    complain("no", "error")
    assert capsys.readouterr().err == "error: no\n"


def test_plugins_has_a_table_of_each_kind_that_fits_80_columns(terminal, capsys):
    terminal(80)
    _print_groups([entry for kind in KINDS for entry in registry().entries(kind)])
    lines = [click.unstyle(line) for line in capsys.readouterr().out.splitlines()]
    heads = [line.split()[0] for line in lines if line.rstrip().endswith(" SUMMARY")]
    assert heads == [kind.upper() for kind in KINDS]
    assert max(map(len, lines)) <= 80
