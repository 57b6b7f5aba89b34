"""The table of a sweep as a terminal shows it, and the lines that are printed elsewhere."""

import io
import sys
from contextlib import suppress

import pytest
from rich.console import Console
from rich.live import Live

from fmcore.benchmark.sweep_status import LiveStatus, sweep_status

FAILURE = "runs/0: the loss or the gradient of step 17 is not finite;\nits batch starts with 3, 9"


def printed(status, width, height=24):
    """The lines of the table on a terminal of that size, and what follows them."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, height=height)
    console.print(status)
    return stream.getvalue().splitlines()


def a_sweep(members, failures=0):
    status = LiveStatus(100)
    for number in range(members):
        status.started(f"seed={number}, path=ot, train.lr=0.001")
    for number in range(failures):
        status.ended(f"seed={number}, path=ot, train.lr=0.001", FAILURE)
    return status


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_each_member_has_one_line_of_the_terminals_width_with_its_title(width):
    lines = printed(a_sweep(4, failures=2), width)
    assert len(lines) == 5
    assert all(len(line) <= width for line in lines)
    titles = [f"seed={n}, path=ot, train.lr=0.001"[: width // 2] for n in range(4)]
    assert [line[: len(t)] for line, t in zip(lines, titles, strict=False)] == titles
    assert all("failed" in line for line in lines[:2])
    assert all(line.rstrip().endswith("0:00") for line in lines[2:4])
    assert lines[4].startswith("2/100 ended, 2 failed")


def test_a_wide_terminal_shows_titles_and_failures_whole():
    lines = printed(a_sweep(1, failures=1), 160)
    assert lines[0] == f"seed=0, path=ot, train.lr=0.001  failed: {' '.join(FAILURE.split())}"


@pytest.mark.parametrize("height", [2, 3, 4, 10, 24, 50])
def test_the_counts_are_seen_however_many_members_run_and_fail(height):
    lines = printed(a_sweep(90, failures=40), 80, height)
    assert len(lines) < max(height, 3)
    assert lines[-1].startswith("40/100 ended, 40 failed")
    assert lines[-2].startswith("and ")
    shown = [line for line in lines[:-2] if "failed" not in line]
    assert int(lines[-2].split()[1]) + len(shown) == 50


def test_titles_cannot_command_the_terminal():
    status = LiveStatus(1)
    status.started("data.root=\x1b[2J\x07/x")
    assert printed(status, 80)[0] == "data.root=?[2J?/x  0:00"


def test_a_stop_is_shown_with_the_number_of_runs_that_save():
    status = a_sweep(2)
    status.stopping()
    assert printed(status, 80)[-1] == "stopping: 2 runs save their state"


def test_no_color_and_no_style_is_used():
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, width=80).print(a_sweep(3, failures=1))
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(("width", "height"), [(60, 14), (80, 24), (120, 40)])
def test_the_screen_holds_one_table_with_the_cursor_below_it(width, height):
    pyte = pytest.importorskip("pyte", reason="pyte renders the bytes of a terminal")
    stream, status = io.StringIO(), a_sweep(30)
    console = Console(file=stream, force_terminal=True, width=width, height=height)
    with suppress(KeyboardInterrupt), Live(status, console=console, auto_refresh=False) as live:
        for number in range(25):
            status.ended(f"seed={number}, path=ot, train.lr=0.001", FAILURE if number < 2 else "")
            live.refresh()
        raise KeyboardInterrupt
    screen = pyte.Screen(width, height)
    pyte.Stream(screen).feed(stream.getvalue().replace("\n", "\r\n"))
    lines = [line.rstrip() for line in screen.display]
    assert lines[7].startswith("25/100 ended, 2 failed")
    assert [line.startswith("seed=") for line in lines[:7]] == [True] * 7
    assert not any(lines[8:])
    assert (screen.cursor.y, screen.cursor.x, screen.cursor.hidden) == (8, 0, False)


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_are_printed_where_no_cursor_can_move(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    lines = []
    with sweep_status(2, elsewhere=True, quiet=False, emit=lines.append) as status:
        status.started("one")
        status.ended("one", "no such file")
        status.started("two")
        status.stopping()
    assert lines[0] == "started: one"
    assert lines[1].startswith("1/2 ended, 1 failed, ")
    assert lines[1].endswith(" left: one failed: no such file")
    assert lines[2:] == ["started: two", "stopping: 1 run saves its state"]
