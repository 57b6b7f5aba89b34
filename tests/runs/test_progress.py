"""Progress fits the terminal, is lines in a pipe, and nothing if quiet."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fmcore.runs import progress as module
from fmcore.runs.progress import Pace, progress


def test_a_narrow_terminal_keeps_the_most_useful_parts():
    fitting = module._fitting
    assert fitting(200, "train", 9_000, "steps") == {
        *("what", "bar", "count", "rate", "left", "note")
    }
    narrow = fitting(60, "measure held-out data", 200_000, "examples")
    assert narrow == {"what", "count", "left"}
    assert fitting(20, "train", 9_000, "steps") == {"what", "count"}


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_bar_is_never_wider_than_the_terminal(width):
    parts = {"what": 21, "count": 13, "left": 7, "note": 11, "rate": 18, "bar": module.BAR}
    shown = module._fitting(width, "measure held-out data", 200_000, "examples")
    assert sum(parts[name] + 1 for name in shown) <= width


@pytest.fixture
def clock(monkeypatch):
    """A clock that changes only when it is set: `clock[0] = seconds`."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_the_rest_at_the_speed_so_far(clock):
    pace = Pace(total=100, done=0)
    clock[0] = 10.0
    assert (pace.rate(20), pace.left(20)) == (2.0, "0:40")
    assert [pace.speed(n) for n in (1, 23, 12_345)] == ["0.1", "2.3", "1234"]
    assert Pace(100, 0).left(0) == "?"


def test_work_of_an_earlier_process_does_not_count_towards_the_rate(clock):
    pace = Pace(total=50_000, done=49_000)
    clock[0] = 10.0
    assert pace.rate(49_100) == 10.0
    assert pace.left(49_100) == "1:30"


def test_long_times_are_shown_in_hours(clock):
    pace = Pace(total=100_000, done=0)
    clock[0] = 100.0
    assert pace.left(1_000) == "2:45:00"


def test_without_a_terminal_a_line_is_printed_every_ten_seconds(clock, capsys):
    with progress("measure samples", 1000, "examples", 500) as show:
        clock[0] = 5.0
        show(550)
        clock[0] = 10.0
        show(600, "note")
    assert capsys.readouterr().err == "measure samples: 600/1000 examples, 10/s, 0:40 left  note\n"


LOOP = """
import time
from fmcore.runs.progress import progress
with progress("work", 10, "pieces", 4) as show:
    show(5, "loss 0.5")
    for i in range(6, 9):  # no notes: the bar moves between two lines of the log
        time.sleep(0.15)
        show(i)
"""


def test_on_a_terminal_a_bar_is_drawn():
    ours, theirs = os.openpty()
    started = subprocess.Popen(
        [sys.executable, "-c", LOOP],
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"},
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # closed at the other end
            break
        if not part:
            break
        output += part
    os.close(ours)
    assert started.wait(timeout=30) == 0
    text = output.decode()
    assert "work" in text
    assert "8/10" in text  # a busy machine may skip those before
    assert "loss 0.5" in text.rpartition("8/10")[2]
    assert "pieces/s" in text
    assert "0:00 left" in text


def test_a_line_keeps_the_last_note_of_steps_without_one(clock, capsys):
    with progress("train", 100, "steps") as show:
        show(1, "loss 0.5")
        clock[0] = 10.0
        show(20)
    assert capsys.readouterr().err == "train: 20/100 steps, 2/s, 0:40 left  loss 0.5\n"


def test_quiet_prints_nothing(clock, capsys):
    with progress("train", 10, "steps", quiet=True) as show:
        clock[0] = 60.0
        show(5)
    assert capsys.readouterr().err == ""
