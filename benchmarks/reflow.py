"""Reflow and distillation: sliced W2 at few evaluations of each flow of the chain; checkerboard.

    python benchmarks/reflow.py [--dir DIR] [--seed 0]     # a quarter of an hour on one core

The chain of recipes/checkerboard_reflow.yaml: a flow (`first`), its pairs of noise and sample, a
flow of these pairs (`reflow`), and both distilled into one evaluation by `consistency`.  Every
training takes 4,000 steps of 512.  The error is the sliced 2-Wasserstein distance between 20,000
samples by `euler` and 20,000 points of the checkerboard; `floor` is that between two sets of data
points.  Finished runs in DIR are reused.  Writes results/reflow.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from few_steps import TRAIN, data_points, sliced_w2
from machine import machine

import fmcore
from fmcore import stages
from fmcore.runs.files import write_json

PAIRS = 50_000
POINTS = 20_000
NFE = (1, 2, 4, 8, 32)
RESULTS = Path(__file__).parent / "results" / "reflow.json"


def trained(root: Path, name: str, recipe: str, *overrides: str) -> fmcore.Run:
    """Return the run of one link of the chain."""
    chosen = [*overrides, *TRAIN, "evaluate=null", "sample.count=100", "expect={}"]
    loaded = fmcore.load_recipe(recipe, chosen)
    return fmcore.run(loaded, out=root / name, device="cpu", quiet=True)


def errors(run: fmcore.Run, data: torch.Tensor, evaluations: tuple[int, ...]) -> dict[str, float]:
    """Return the distance of samples by `euler` to `data` at each number of evaluations."""
    x0 = torch.randn(POINTS, 2, generator=torch.Generator().manual_seed(5))
    field, path, found = run.field(), run.components.path, {}
    for nfe in evaluations:
        with torch.no_grad():
            problem = fmcore.Problem(field=field, x0=x0, path=path)
            x = fmcore.create("solver", "euler", nfe=nfe).solve(problem).x
        found[str(nfe)] = sliced_w2(x, data)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("runs/reflow"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    root, seed = given.dir, f"seed={given.seed}"
    first = trained(root, "first", "checkerboard", seed, "path=linear")
    data = data_points(first, 7)
    table: dict[str, Any] = {"floor": sliced_w2(data, data_points(first, 8))}
    table["first"] = errors(first, data, NFE)
    print(json.dumps(table), flush=True)
    pairs = root / "pairs.safetensors"
    if not pairs.exists():
        options = (f"count={PAIRS}", "solver.rtol=1e-4", "solver.atol=1e-4")
        stages.pairs(first.folder.root, pairs, options, device="cpu")
    second = trained(root, "reflow", "checkerboard_reflow", seed, f"data.file={pairs}")
    table["reflow"] = errors(second, data, NFE)
    print(json.dumps(table["reflow"]), flush=True)
    for name in ("first", "reflow"):
        teacher = f"objective.teacher={(root / name).resolve()}"
        student = trained(
            root, f"{name}-distilled", "checkerboard_distilled", seed, teacher, "path=linear"
        )
        table[f"{name}, distilled"] = errors(student, data, (1,))
        print(name, json.dumps(table[f"{name}, distilled"]), flush=True)
    write_json(
        RESULTS,
        {
            "machine": machine(),
            "settings": list(TRAIN),
            "pairs": PAIRS,
            "seed": given.seed,
            "sliced_w2": table,
        },
    )


if __name__ == "__main__":
    main()
