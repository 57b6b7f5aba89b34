"""A run that is stopped in every way, at random moments, ends with the bits of one that was not.

Faults: SIGKILL at any moment and while a checkpoint is written, SIGTERM, SIGINT, a disk that
refuses the checkpoint (RLIMIT_FSIZE), and damage to the newest checkpoint after a SIGKILL:
truncated, one bit flipped, its JSON deleted or overwritten.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fmcore.runs.checkpoint import CheckpointFolder

STEPS = 2000
RECIPE = f"""\
seed: 3
data: {{name: toy, figure: checkerboard}}
path: ot
model: {{name: mlp, width: 64, depth: 3}}
train:
  {{steps: {STEPS}, batch_size: 64, checkpoint_every: 20, log_every: 20, keep: 3, clip: 1.0}}
"""
FILE_LIMIT = 20_000  # bytes: less than a checkpoint, more than the recipe and run.json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Run:
    """A run folder, and the random moments of its faults."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.checkpoints = folder / "run" / "checkpoints"
        folder.mkdir()
        (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")

    def start(self, limit: int = resource.RLIM_INFINITY) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "fmcore", "run", "tiny.yaml", "--out", "run", "--device", "cpu"],
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )

    def newest(self) -> int:
        names = (file.stem.removeprefix("step-") for file in self.checkpoints.glob("step-*.json"))
        return max(map(int, names), default=0)

    def tensors(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:09d}.safetensors"

    def pause(self, most: float) -> None:
        time.sleep(self.random.uniform(0, most))

    def progressing(self) -> subprocess.Popen[bytes]:
        """A process that has written a checkpoint, at a random moment after it."""
        process, before = self.start(), self.newest()
        while process.poll() is None and self.newest() == before:
            time.sleep(0.005)
        self.pause(0.3)
        return process

    def weights(self) -> dict[str, bytes]:
        """Bits of the final state, once the run has ended."""
        assert self.start().wait() == 0
        return {k: v.numpy().tobytes() for k, v in load_file(self.tensors(STEPS)).items()}


def signalled(number: signal.Signals, code: int) -> Callable[[Run], None]:
    def stop(run: Run) -> None:
        process = run.progressing()
        process.send_signal(number)
        assert process.wait() in (code, 0)  # 0: it had ended before

    return stop


def killed_at_any_moment(run: Run) -> None:
    """Also while it starts."""
    process = run.start()
    run.pause(8)
    process.kill()
    process.wait()


def killed_while_saving(run: Run) -> None:
    process = run.progressing()
    while process.poll() is None and not list(run.checkpoints.glob(".*.part")):
        pass
    process.kill()
    process.wait()


def refused_by_the_disk(run: Run) -> None:
    assert run.start(FILE_LIMIT).wait() in (2, 0)  # 0: it had ended before


def damaged(damage: Callable[[Path, random.Random], object]) -> Callable[[Run], None]:
    """Kill the run and damage its newest checkpoint, which must then be skipped."""

    def stop(run: Run) -> None:
        signalled(signal.SIGKILL, -signal.SIGKILL)(run)
        step = run.newest()
        damage(run.tensors(step), run.random)
        found = CheckpointFolder(run.checkpoints, warn=lambda line: None).latest()
        resumed_from = 0 if found is None else found.step
        assert resumed_from < step

    return stop


def truncate(file: Path, chance: random.Random) -> None:
    os.truncate(file, chance.randrange(file.stat().st_size))


def flip_a_bit(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def delete_json(file: Path, chance: random.Random) -> None:
    file.with_suffix(".json").unlink()


def overwrite_json(file: Path, chance: random.Random) -> None:
    file.with_suffix(".json").write_bytes(chance.randbytes(40))


FAULTS = [
    signalled(signal.SIGKILL, -signal.SIGKILL),
    signalled(signal.SIGTERM, 130),
    signalled(signal.SIGINT, 130),
    *[killed_at_any_moment, killed_while_saving, refused_by_the_disk],
    *map(damaged, [truncate, flip_a_bit, delete_json, overwrite_json]),
]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return Run(tmp_path_factory.mktemp("straight") / "run", 0).weights()


@pytest.mark.parametrize("seed", range(3))
def test_a_run_with_every_fault_ends_with_bit_identical_weights(seed, tmp_path, expected):
    run = Run(tmp_path / "broken", seed)
    for fault in run.random.sample(FAULTS, len(FAULTS)):
        fault(run)
    assert run.weights() == expected
