"""Progress fits the terminal, is lines in a pipe, and nothing when asked to be quiet; it tells the
time that is left, and a resumed run is not taken for a fast one.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fmcore.runs import progress as module
from fmcore.runs.progress import Pace, progress


def test_a_narrow_terminal_keeps_what_a_person_needs_most():
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
    """A clock that stands still until it is set: `clock[0] = seconds`."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_the_rest_at_the_speed_so_far(clock):
    pace = Pace(total=100, done=0)
    clock[0] = 10.0
    assert (pace.rate(20), pace.left(20)) == (2.0, "0:40")
    assert [pace.speed(n) for n in (1, 23, 12_345)] == ["0.1", "2.3", "1234"]
    assert Pace(100, 0).left(0) == "?"


def test_what_was_done_before_a_stop_is_no_speed(clock):
    pace = Pace(total=50_000, done=49_000)
    clock[0] = 10.0
    assert pace.rate(49_100) == 10.0
    assert pace.left(49_100) == "1:30"


def test_hours_are_told_as_hours(clock):
    pace = Pace(total=100_000, done=0)
    clock[0] = 100.0
    assert pace.left(1_000) == "2:45:00"


def test_without_a_terminal_a_line_every_so_often_tells_it(clock, capsys):
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
    for i in range(5, 9):
        time.sleep(0.06)
        show(i)
    time.sleep(0.2)
"""


def test_on_a_terminal_a_bar_tells_it():
    ours, theirs = os.openpty()
    started = subprocess.Popen(
        [sys.executable, "-c", LOOP],
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # closed at the other end
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert started.wait(timeout=30) == 0
    text = said.decode()
    assert "work" in text
    assert "8/10" in text
    assert "pieces/s" in text
    assert "0:00 left" in text


def test_quiet_says_nothing(clock, capsys):
    with progress("train", 10, "steps", quiet=True) as show:
        clock[0] = 60.0
        show(5)
    assert capsys.readouterr().err == ""
