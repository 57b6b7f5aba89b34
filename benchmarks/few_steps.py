"""Sample quality at few evaluations: flow matching, MeanFlow, shortcut models; checkerboard.

    python benchmarks/few_steps.py [RUNS]     # 11 minutes on one core; RUNS keeps the runs

Every objective trains the same network (MLP of 4 layers of 128) for 4,000 steps of 512 with two
seeds.  The error is the sliced 2-Wasserstein distance between 20,000 samples and 20,000 data points
along 256 directions; `floor` is that between two sets of data points.  Writes
results/few_steps.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from machine import machine
from torch import Tensor

import fmcore

OBJECTIVES = ("flow_matching", "mean_flow", "improved_mean_flow", "shortcut")
SEEDS = (0, 1)
NFE = (1, 2, 4, 8, 32)
POINTS, DIRECTIONS = 20_000, 256
TRAIN = ("train.steps=4000", "train.batch_size=512", "train.lr=2e-3")


def sliced_w2(a: Tensor, b: Tensor) -> float:
    """Return the distance between point sets of equal size, both `(points, 2)`."""
    generator = torch.Generator().manual_seed(3)
    directions = torch.randn(2, DIRECTIONS, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=0)
    projected = ((x.double() @ directions).sort(0).values for x in (a, b))
    first, second = projected
    return float((first - second).square().mean().sqrt())


def data_points(run: fmcore.Run, seed: int) -> Tensor:
    data = run.components.data
    order = torch.randperm(data.length, generator=torch.Generator().manual_seed(seed))
    return data.batch(order[:POINTS].tolist())["x1"]


def errors(root: Path, objective: str, seed: int) -> dict[str, float]:
    """Train one objective and return its error at every number of evaluations."""
    solver = "euler" if objective == "flow_matching" else "flow_map"
    overrides = [f"objective={objective}", f"seed={seed}", *TRAIN, "evaluate=null", "sample=null"]
    recipe = fmcore.load_recipe("checkerboard", overrides)
    run = fmcore.run(recipe, out=root / f"{objective}-{seed}", device="cpu", quiet=True)
    field, path = run.field(), run.components.path
    x0 = torch.randn(POINTS, 2, generator=torch.Generator().manual_seed(5))
    found = {"floor": sliced_w2(data_points(run, 7), data_points(run, 8))}
    for nfe in NFE:
        with torch.no_grad():
            problem = fmcore.Problem(field=field, x0=x0, path=path)
            x = fmcore.create("solver", solver, nfe=nfe).solve(problem).x
        found[str(nfe)] = sliced_w2(x, data_points(run, 7))
    return found


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        table = {}
        for objective in OBJECTIVES:
            table[objective] = {str(seed): errors(root, objective, seed) for seed in SEEDS}
            print(objective, json.dumps(table[objective]), flush=True)
    result = {"machine": machine(), "settings": list(TRAIN), "sliced_w2": table}
    file = Path(__file__).parent / "results" / "few_steps.json"
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
