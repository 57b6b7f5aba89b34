"""Progress fits the terminal, is lines in a pipe, and nothing when asked to be quiet."""

from __future__ import annotations

import pytest

from fmcore.runs import progress as module
from fmcore.runs.progress import progress


def test_a_narrow_terminal_keeps_what_a_person_needs_most():
    fitting = module._fitting
    assert fitting(200, "train", 9_000, "steps") == {
        *("what", "bar", "count", "rate", "left", "note")
    }
    narrow = fitting(60, "measure held-out data", 200_000, "examples")
    assert narrow == {"what", "count", "left", "note"}
    assert fitting(20, "train", 9_000, "steps") == {"what", "count"}


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_bar_is_never_wider_than_the_terminal(width):
    parts = {"what": 21, "count": 13, "left": 7, "note": 11, "rate": 18, "bar": module.BAR}
    shown = module._fitting(width, "measure held-out data", 200_000, "examples")
    assert sum(parts[name] + 1 for name in shown) <= width


def test_a_pipe_gets_a_line_every_so_often_and_quiet_gets_none(monkeypatch, capsys):
    moments = iter(range(0, 1_000, 6))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(moments)))
    with progress("train", 10, "steps") as show:
        for step in range(1, 5):
            show(step, "loss 1.0")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "train: 2/10 steps, 0.2/s, 48 s left  loss 1.0",
        "train: 4/10 steps, 0.2/s, 36 s left  loss 1.0",
    ]
    with progress("train", 10, "steps", quiet=True) as show:
        show(5)
    assert capsys.readouterr().err == ""
