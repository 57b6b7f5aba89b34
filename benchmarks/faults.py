"""Break a run in every way that machines do, at random moments, and see whether it still ends with
the bits of a run that nothing happened to.

    python benchmarks/faults.py --faults 32 --out benchmarks/results/faults.json

Faults: SIGKILL at any moment and while a checkpoint is being written, SIGTERM, SIGINT, a disk that
refuses the checkpoint (RLIMIT_FSIZE), and damage to the newest checkpoint before the run goes on:
truncated, one bit flipped, its JSON deleted or overwritten.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import machine
from safetensors.torch import load_file

RECIPE = """\
# A tiny run.
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 64, depth: 3}
train: {steps: 2000, batch_size: 64, checkpoint_every: 20, log_every: 20, keep_last: 3, grad_clip: 1.0}
"""
STEPS = 2000
FILE_LIMIT = 20_000  # bytes: less than a checkpoint, more than the recipe and run.json


@dataclass
class Outcome:
    """What a fault did."""

    fault: str
    step_before: int
    exit_code: int | None
    damaged: int | None = None
    then_went_on_from: int | None = None


class Run:
    """A run folder, and the process that may be working in it."""

    def __init__(self, recipe: Path, out: Path) -> None:
        self.recipe, self.out = recipe, out
        self.waiting: list[Outcome] = []  # faults after which it has not yet said where it goes on

    def start(self, limit: int | None = None) -> subprocess.Popen[str]:
        def refuse_large_files() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        command = [sys.executable, "-m", "fmcore", "run", str(self.recipe)]
        return subprocess.Popen(
            [*command, "--out", str(self.out), "--device", "cpu"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=refuse_large_files,
        )

    def end(self, process: subprocess.Popen[str]) -> int:
        """Wait for the process, and read where it went on."""
        _, said = process.communicate()
        lines = [line for line in said.splitlines() if line.startswith("going on from step ")]
        if lines:
            for outcome in self.waiting:
                outcome.then_went_on_from = int(lines[0].split()[-1])
            self.waiting.clear()
        return process.returncode

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"

    def newest(self) -> int:
        names = (p.stem.removeprefix("step-") for p in self.checkpoints.glob("step-*.json"))
        return max(map(int, names), default=0)

    def file(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:09d}.safetensors"

    def wait_for_steps(self, process: subprocess.Popen[str], then: float) -> None:
        before = self.newest()
        while process.poll() is None and self.newest() == before:
            time.sleep(0.005)
        time.sleep(then)


def signalled(number: signal.Signals) -> Callable[[Run, random.Random], int]:
    def fault(run: Run, chance: random.Random) -> int:
        process = run.start()
        run.wait_for_steps(process, chance.uniform(0, 0.3))
        process.send_signal(number)
        return run.end(process)

    return fault


def killed_anywhere(run: Run, chance: random.Random) -> int:
    """Also while it starts."""
    process = run.start()
    time.sleep(chance.uniform(0.2, 8))
    process.kill()
    return run.end(process)


def killed_while_saving(run: Run, chance: random.Random) -> int:
    process = run.start()
    run.wait_for_steps(process, chance.uniform(0, 0.3))
    while process.poll() is None and not list(run.checkpoints.glob(".*.part")):
        pass
    process.kill()
    return run.end(process)


def disk_refuses(run: Run, chance: random.Random) -> int:
    return run.end(run.start(FILE_LIMIT))


def truncate(run: Run, step: int, chance: random.Random) -> None:
    size = run.file(step).stat().st_size
    os.truncate(run.file(step), chance.randrange(size))


def flip_a_bit(run: Run, step: int, chance: random.Random) -> None:
    data = bytearray(run.file(step).read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    run.file(step).write_bytes(data)


def delete_json(run: Run, step: int, chance: random.Random) -> None:
    run.file(step).with_suffix(".json").unlink()


def overwrite_json(run: Run, step: int, chance: random.Random) -> None:
    run.file(step).with_suffix(".json").write_bytes(chance.randbytes(40))


INTERRUPTIONS = {
    "SIGKILL": signalled(signal.SIGKILL),
    "SIGKILL anywhere": killed_anywhere,
    "SIGKILL while saving": killed_while_saving,
    "SIGTERM": signalled(signal.SIGTERM),
    "SIGINT": signalled(signal.SIGINT),
    "disk refuses": disk_refuses,
}
DAMAGES = {
    "newest truncated": truncate,
    "newest has a flipped bit": flip_a_bit,
    "newest JSON deleted": delete_json,
    "newest JSON overwritten": overwrite_json,
}


def suffer(run: Run, fault: str, chance: random.Random) -> Outcome:
    before = run.newest()
    if fault in INTERRUPTIONS:
        outcome = Outcome(fault, before, INTERRUPTIONS[fault](run, chance))
    else:
        code = INTERRUPTIONS["SIGKILL"](run, chance)
        step = run.newest()
        DAMAGES[fault](run, step, chance)
        outcome = Outcome(fault, before, code, damaged=step)
    run.waiting.append(outcome)
    return outcome


def believed(outcome: Outcome) -> bool:
    """Whether a damaged checkpoint was taken for a whole one."""
    after, damaged = outcome.then_went_on_from, outcome.damaged
    return damaged is not None and after is not None and after >= damaged


def weights(run: Run) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in load_file(run.file(STEPS)).items()}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--faults", type=int, default=32)
    words.add_argument("--a-run", type=int, default=8, help="faults that one run suffers")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--out", type=Path, default=Path("benchmarks/results/faults.json"))
    asked = words.parse_args()
    chance, began = random.Random(asked.seed), time.monotonic()
    kinds = [*INTERRUPTIONS, *DAMAGES]
    plan = [kinds[i % len(kinds)] for i in range(asked.faults)]
    chance.shuffle(plan)
    outcomes: list[Outcome] = []
    ended = identical = runs = 0
    with tempfile.TemporaryDirectory() as place:
        recipe = Path(place) / "tiny.yaml"
        recipe.write_text(RECIPE)
        straight = Run(recipe, Path(place) / "straight")
        straight.end(straight.start())
        expected = weights(straight)
        while plan:
            run = Run(recipe, Path(place) / f"run-{runs}")
            for _ in range(min(asked.a_run, len(plan))):
                outcomes.append(suffer(run, plan.pop(), chance))
                print(outcomes[-1], flush=True)
            ended += run.end(run.start()) == 0
            identical += weights(run) == expected
            runs += 1
            report = {
                "faults": dict(Counter(o.fault for o in outcomes)),
                "faults_in_all": len(outcomes),
                "runs": runs,
                "runs_that_ended": ended,
                "runs_with_bit_identical_final_state": identical,
                "damaged_checkpoints_believed": sum(map(believed, outcomes)),
                "seed": asked.seed,
                "seconds": round(time.monotonic() - began),
                "machine": {**machine(), "threads": 1},
                "outcomes": [asdict(o) for o in outcomes],
            }
            asked.out.write_text(json.dumps(report, indent=2) + "\n")
    if not runs == ended == identical or any(map(believed, outcomes)):
        sys.exit(f"a run did not recover: see {asked.out}")


if __name__ == "__main__":
    main()
