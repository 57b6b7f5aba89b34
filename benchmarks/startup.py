"""CPU time of starting commands, against that of importing torch.

    OMP_NUM_THREADS=1 python benchmarks/startup.py [--rounds 7] [--out FILE]

The commands take turns in processes of their own.  The shortest run has 1 step, 8 samples and 8
evaluated ones.  The goals: the import of torch and 0.25 s for commands about recipes and plugins,
3 s for the shortest run.  All use compiled modules, as after an installation.  Takes 3 minutes on
an idle core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results" / "startup.json"
FMCORE = ["-m", "fmcore"]
OPTIONS = ["train.steps=1", "sample.count=8", "evaluate.metrics=[nfe]", "evaluate.count=8"]
SHORT = ["run", "checkerboard", *OPTIONS, "expect={}", "-q"]
STEP = "import torch; p = torch.zeros(2, requires_grad=True); torch.optim.Adam([p]).step()"
"""torch's own optimisers import most of its compiler; those of fmcore do not (tested)."""
COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import torch, Adam.step": ["-c", STEP],
    "fmcore --help": [*FMCORE, "--help"],
    "fmcore recipes check digits": [*FMCORE, "recipes", "check", "digits"],
    "fmcore recipes show digits": [*FMCORE, "recipes", "show", "digits"],
    "fmcore plugins show unet": [*FMCORE, "plugins", "show", "unet"],
    "shortest run": [*FMCORE, *SHORT],
}


def cpu_seconds(command: list[str], cache: str) -> float:
    """Return the CPU seconds of a command and the processes that it waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/run"] if "run" in command else []
        call = [sys.executable, *command, *out]
        own = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run(call, check=True, capture_output=True, env=own)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(report: Mapping[str, Any]) -> list[str]:
    """Return the rows of the table of docs/scale.md."""
    return [
        f"| {'shortest run' if name == 'shortest run' else f'`{name}`'} | {row['cpu_s']:.2f} "
        f"| {row['above_torch_s']:+.2f} |"
        for name, row in report["commands"].items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as cache:
        for turn in range(given.rounds + 1):
            for name, command in COMMANDS.items():
                seconds = cpu_seconds(command, cache)
                if turn:  # the first compiles, and fills the caches of the disk
                    spent[name].append(round(seconds, 3))
    torch_s = statistics.median(spent["import torch"])
    rows = {}
    for name, values in spent.items():
        median = statistics.median(values)
        rows[name] = {"cpu_s": median, "above_torch_s": round(median - torch_s, 3), "all": values}
        print(f"{name:<32}{median:>7.2f} s {median - torch_s:>+7.2f} s above import torch")
    report = {"machine": machine(), "rounds": given.rounds, "commands": rows}
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
