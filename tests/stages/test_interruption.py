"""A run that was killed resumes to the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

STEPS = 400
OVERRIDES = [f"train.steps={STEPS}", "train.checkpoint_every=20", "train.log_every=20"]


def start(recipe: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "fmcore", "run", str(recipe), *OVERRIDES]
    return subprocess.Popen(
        [*command, "--out", str(out), "--device", "cpu"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(recipe: Path, out: Path) -> dict:
    process = start(recipe, out)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return load_file(out / "checkpoints" / f"step-{STEPS:09d}.safetensors")


def newest_step(out: Path) -> int:
    names = (p.stem.removeprefix("step-") for p in (out / "checkpoints").glob("step-*.json"))
    return max(map(int, names), default=0)


def wait_for_progress(process: subprocess.Popen, out: Path) -> None:
    before, deadline = newest_step(out), time.monotonic() + 60
    while newest_step(out) == before:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no checkpoint within a minute"
        time.sleep(0.01)


def identical(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(
        left[k].numpy().tobytes() == right[k].numpy().tobytes() for k in left
    )


@pytest.fixture
def uninterrupted(tiny, tmp_path):
    return finish(tiny, tmp_path / "straight")


def test_killed_and_stopped_runs_end_with_bit_identical_weights(tiny, tmp_path, uninterrupted):
    out = tmp_path / "broken"
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)):
        process = start(tiny, out)
        wait_for_progress(process, out)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        if process.returncode == 0:
            break  # it was faster than the signal
        assert process.returncode == code, errors
        if number != signal.SIGKILL:
            assert f"stopped by {number.name} at step" in errors
            assert f"--out {out}" in errors
    assert identical(finish(tiny, out), uninterrupted)
    steps = [line.split()[1] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(steps) == len(set(steps)) == STEPS // 20
