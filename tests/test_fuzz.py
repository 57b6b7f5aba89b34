"""A few hundred of the cases of benchmarks/fuzz.py: nothing runs, hangs or breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_broken_files_of_every_kind_are_read_or_refused(tmp_path):
    """In a process of its own: its watch over what is done cannot be taken off again."""
    out = tmp_path / "fuzz.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--cases", "300"]
    done = subprocess.run(
        [*command, "--seed", "11", "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text("utf-8"))
    assert set(told["ends"]) <= {"read", "refused"}
    assert told["cases"] >= 300
    assert all(sum(target["ends"].values()) for target in told["targets"].values())


def test_the_recorded_run_had_a_hundred_thousand_cases_and_none_that_failed():
    told = json.loads((ROOT / "benchmarks" / "results" / "fuzz.json").read_text("utf-8"))
    assert told["cases"] >= 100_000
    assert set(told["ends"]) == {"read", "refused"}
    assert not any(target["failures"] for target in told["targets"].values())
