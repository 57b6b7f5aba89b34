"""Sample quality at few evaluations on images: MeanFlow and flow matching, Fashion-MNIST.

    python benchmarks/few_steps_images.py --root FOLDER [--seconds 480] [--seed 0] [--dir DIR]

Each objective trains the network of recipes/fashion_meanflow.yaml for the same CPU seconds on one
thread; a step of MeanFlow costs more, so that it takes fewer. The number of steps is set from the
time of the first ones. Quality is `fd_lite0` of 1,000 samples with the labels 0 .. 9 in turn
against the 10,000 held-out images, from the same noise for each solver. `flow_matching` is sampled
by `euler` and by `midpoint`, the others by `flow_map`. `data` is the distance of 1,000 training
images. Writes results/few_steps_images.json.

Data: FOLDER with the four IDX files, as in the Debian package dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor

import fmcore
from fmcore.interfaces.levels import to_levels
from fmcore.interfaces.randomness import noise_of
from fmcore.runs.files import write_json

SOLVERS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "mean_flow": {"flow_map": (1, 2, 4)},
    "flow_matching": {"euler": (4, 8, 16), "midpoint": (4, 8, 16, 64)},
}
OBJECTIVES = {
    "mean_flow": (),
    "flow_matching": ("objective={name: flow_matching, time: stratified}",),
}
SAMPLES = 1000
TIMED = 20
"""Steps that are timed to choose the number of steps."""
RESULTS = Path(__file__).parent / "results" / "few_steps_images.json"


def steps_within(given: argparse.Namespace, overrides: list[str]) -> int:
    """Return the number of steps that use the CPU seconds of the budget."""
    trial = given.dir / "timing"
    short = ["evaluate=null", "sample=null", "train.checkpoint_every=100000"]
    took = []
    for steps in (TIMED // 4, TIMED + TIMED // 4):
        recipe = fmcore.load_recipe(
            "fashion_meanflow", [*overrides, *short, f"train.steps={steps}"]
        )
        began = time.process_time()
        fmcore.run(recipe, out=trial / f"{len(overrides)}-{steps}", device="cpu", quiet=True)
        took.append(time.process_time() - began)
    return int(given.seconds / ((took[1] - took[0]) / TIMED))


def trained(given: argparse.Namespace, objective: str) -> tuple[fmcore.Run, dict[str, Any]]:
    """Train one objective within the budget."""
    overrides = [f"data.root={given.root}", f"seed={given.seed}", *OBJECTIVES[objective]]
    steps = steps_within(given, overrides)
    recipe = fmcore.load_recipe(
        "fashion_meanflow", [*overrides, f"train.steps={steps}", "evaluate=null", "sample=null"]
    )
    began = time.process_time()
    run = fmcore.run(recipe, out=given.dir / f"{objective}-{given.seed}", device="cpu", quiet=True)
    return run, {"steps": steps, "cpu_seconds": round(time.process_time() - began, 1)}


def distance(data: Any, levels: Tensor, cache: Path) -> float:
    """Return FD-lite0 between images and the test split."""
    metric = fmcore.create("metric", "fd_lite0", reference="test")
    metric.begin(
        fmcore.Evaluation(
            data=data.with_split("test"),
            train_data=data,
            path=fmcore.create("path", "linear"),
            field=None,
            seed=0,
            batch_size=250,
            cache=cache,
        )
    )
    metric.update(fmcore.MetricBatch(torch.arange(len(levels)), None, levels))
    return float(metric.compute()["fd_lite0"].value)


@torch.no_grad()
def samples(run: fmcore.Run, solver: str, nfe: int) -> Tensor:
    """Return samples as levels."""
    field, path, data = run.field(), run.components.path, run.components.data
    found = []
    for first in range(0, SAMPLES, 100):
        rows = range(first, first + 100)
        problem = fmcore.Problem(
            field=field,
            x0=noise_of(path.prior(), rows, data.shape, seed=0),
            path=path,
            condition={"label": torch.tensor(rows) % 10},
        )
        found.append(fmcore.create("solver", solver, nfe=nfe).solve(problem).x)
    return to_levels(torch.cat(found), data.levels, "none")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the IDX files")
    parser.add_argument("--seconds", type=float, default=480.0, help="CPU seconds of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dir", type=Path, default=Path("runs/few_steps_images"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, Any] = {}
    for objective, solvers in SOLVERS.items():
        run, facts = trained(given, objective)
        data = run.components.data
        cache = given.dir / "cache"
        table[objective] = facts | {
            solver: {str(n): distance(data, samples(run, solver, n), cache) for n in nfe}
            for solver, nfe in solvers.items()
        }
        print(objective, json.dumps(table[objective]), flush=True)
    first = data.batch([60 * i for i in range(SAMPLES)])["x1"]
    write_json(
        RESULTS,
        {
            "machine": machine(),
            "seconds": given.seconds,
            "seed": given.seed,
            "samples": SAMPLES,
            "data": distance(data, first, cache),
            "fd_lite0": table,
        },
    )
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
