"""A run that was killed or stopped resumes to the same bits, and no signal is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

import fmcore
import fmcore.stages.run  # its name is also that of a function
from fmcore.errors import Interrupted
from fmcore.runs.checkpoint import CheckpointFolder
from fmcore.runs.folder import RunFolder
from fmcore.runs.partial_metrics import PartialMetrics
from fmcore.runs.samples import Shards

STEPS = 400
OVERRIDES = [f"train.steps={STEPS}", "train.checkpoint_every=20", "train.log_every=20"]
OVERRIDES += ["sample=null", "evaluate=null"]  # training is what is stopped here
LIMIT = 250
"""Seconds for a process that hangs, not for its work: the machine may be busy."""


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
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    return load_file(out / "checkpoints" / f"step-{STEPS:09d}.safetensors")


def newest_step(out: Path) -> int:
    names = (p.stem.removeprefix("step-") for p in (out / "checkpoints").glob("step-*.json"))
    return max(map(int, names), default=0)


def wait_for_progress(process: subprocess.Popen, out: Path) -> None:
    before, deadline = newest_step(out), time.monotonic() + LIMIT
    while newest_step(out) == before:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.01)


def identical(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(
        left[k].numpy().tobytes() == right[k].numpy().tobytes() for k in left
    )


@pytest.fixture
def uninterrupted(tiny, tmp_path):
    return finish(tiny, tmp_path / "straight")


@pytest.mark.timeout(900)
def test_killed_and_stopped_runs_end_with_bit_identical_weights(tiny, tmp_path, uninterrupted):
    out = tmp_path / "broken"
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)):
        process = start(tiny, out)
        wait_for_progress(process, out)
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT)
        if process.returncode == 0:
            break  # it was faster than the signal
        assert process.returncode == code, errors
        if number != signal.SIGKILL:
            assert f"stopped by {number.name} at step" in errors
            assert f"--out {out}" in errors
    assert identical(finish(tiny, out), uninterrupted)
    steps = [line.split()[1] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(steps) == len(set(steps)) == STEPS // 20


LAST_MOMENTS = [
    (CheckpointFolder, "save", "step 40 of 40; everything is saved"),
    (Shards, "write", "stopped in sample"),
    (PartialMetrics, "write", "stopped in evaluate"),
    (sys.modules["fmcore.stages.run"], "illustrate_samples", "stopped in pictures"),
    (sys.modules["fmcore.stages.run"], "write_report", "stopped in report"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize(("owner", "name", "message"), LAST_MOMENTS)
def test_a_signal_in_the_last_moment_of_a_stage_stops_the_run(
    tiny, tmp_path, monkeypatch, number, owner, name, message
):
    """The last save, shard and piece of one stage each, and what has no loop."""
    options = ("train.checkpoint_every=100", "sample.batch_size=32", "evaluate.batch_size=32")
    act, sent = getattr(owner, name), []

    def signalled(*arguments):
        result = None if owner is not CheckpointFolder else act(*arguments)
        if not sent:
            sent.append(number)
            os.kill(os.getpid(), number)
        return act(*arguments) if owner is not CheckpointFolder else result

    monkeypatch.setattr(owner, name, signalled)
    with pytest.raises(Interrupted, match=message) as caught:
        fmcore.run(tiny, options, out=tmp_path / "run", device="cpu", quiet=True)
    assert caught.value.exit_code == 130
    monkeypatch.undo()
    again = fmcore.run(tiny, options, out=tmp_path / "run", device="cpu", quiet=True)
    assert again.results["nfe"]["value"] == 8
    assert (tmp_path / "run" / "report.html").exists()


def test_a_signal_at_the_start_leaves_a_folder_that_the_same_command_uses(
    tiny, tmp_path, monkeypatch
):
    adopt = RunFolder.adopt

    def signalled(self, *arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        adopt(self, *arguments)

    options = ("train.steps=1", "sample=null", "evaluate=null")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "adopt", signalled)
        with pytest.raises(KeyboardInterrupt):
            fmcore.run(tiny, options, out=tmp_path / "run", device="cpu", quiet=True)
    fmcore.run(tiny, options, out=tmp_path / "run", device="cpu", quiet=True)


def test_a_signal_while_the_command_starts_ends_it_with_130(tiny, tmp_path):
    """Before torch is imported, or while it is."""
    process = start(tiny, tmp_path / "run")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode in (130, -signal.SIGTERM), errors  # Python itself was starting
    assert "Traceback" not in errors
    assert output == ""
