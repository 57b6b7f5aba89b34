"""Super-resolution of Fashion-MNIST: a flow and a regression with the same network and steps.

    python benchmarks/super_resolution.py --root FOLDER [--seeds 0,1] [--dir DIR] [KEY=VALUE]...

Recipe fashion_superres, 7x7 to 28x28, on one thread; KEY=VALUE are its overrides. The regression is
objective `data` at t = 0. Both give one image for each of the first 512 test images: PSNR and SSIM
against the true image, the error of the averaged sample against its input (low_pass_error), and
FD-lite0. Writes results/super_resolution.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from machine import machine

import fmcore
from fmcore.runs.files import write_json

KINDS = {
    "flow": (),
    "regression": (
        "objective={name: data, time: {name: power, power: 0.1}}",
        "sample.solver={name: euler, nfe: 1}",
    ),
}
METRICS = ("psnr", "ssim", "low_pass_error", "fd_lite0")
RESULTS = Path(__file__).parent / "results" / "super_resolution.json"


def measured(given: argparse.Namespace, kind: str, seed: int) -> dict[str, float]:
    """Train, sample and evaluate one run."""
    overrides = [f"data.of.root={given.root}", f"seed={seed}", *given.overrides, *KINDS[kind]]
    began = time.process_time()
    out = given.dir / f"{kind}-{seed}"
    run = fmcore.run(
        fmcore.load_recipe("fashion_superres", overrides), out=out, device="cpu", quiet=True
    )
    found = {name: float(run.results[name]["value"]) for name in METRICS}
    return found | {"cpu_seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the IDX files")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--dir", type=Path, default=Path("runs/super_resolution"))
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, Any] = {kind: {} for kind in KINDS}
    for seed in map(int, given.seeds.split(",")):
        for kind in KINDS:
            table[kind][str(seed)] = measured(given, kind, seed)
            print(kind, seed, json.dumps(table[kind][str(seed)]), flush=True)
            result = {"machine": machine(), "settings": given.overrides, "results": table}
            write_json(RESULTS, result)


if __name__ == "__main__":
    main()
