"""Sample quality at few evaluations on images: MeanFlow and flow matching, Fashion-MNIST.

    python benchmarks/few_steps_images.py --root FOLDER [--steps 3000] [--seed 0] [--dir DIR]

Each objective trains the network of recipes/fashion_meanflow.yaml for the same CPU time on one
thread: `--steps` are those of flow matching, and the others take as many as fit into the same time
by the medians of their steps, so that one busy moment of the machine decides nothing.  Quality is
`fd_lite0` of 1,000 samples with the labels 0 .. 9 in turn against the 10,000 held-out images, from
the same noise for each solver.  `flow_matching` is sampled by `euler` and by `midpoint`, the others
by `flow_map`.  `data` is the distance of 1,000 training images.  The same command reuses finished
runs in DIR; with `--as-is` it measures stopped ones too, whose steps are in the results.  Writes
results/few_steps_images.json.

Data: FOLDER with the four IDX files, as in the Debian package dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from machine import machine
from torch import Tensor

import fmcore
from fmcore import open_run
from fmcore.interfaces.levels import to_levels
from fmcore.interfaces.randomness import noise_of
from fmcore.runs.files import write_json
from fmcore.training.step import Step

SOLVERS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "flow_matching": {"euler": (4, 8), "midpoint": (4, 8, 16, 64)},
    "mean_flow": {"flow_map": (1, 2, 4)},
}
OBJECTIVES = {
    "flow_matching": "objective={name: flow_matching, time: stratified}",
    "mean_flow": "objective={name: mean_flow, power: 1, apart: 0.25}",
}
SAMPLES = 1000
TIMED = 16
"""Steps whose median is the cost of a step."""
RESULTS = Path(__file__).parent / "results" / "few_steps_images.json"


def recipe_of(given: argparse.Namespace, objective: str, steps: int) -> fmcore.Recipe:
    """Return the recipe of one training, without samples and metrics."""
    overrides = [f"data.root={given.root}", f"seed={given.seed}", OBJECTIVES[objective]]
    more = [f"train.steps={steps}", "train.checkpoint_every=200", "evaluate=null", "sample=null"]
    return fmcore.load_recipe("fashion_meanflow", [*overrides, *more])


def step_seconds(given: argparse.Namespace, objective: str) -> float:
    """Return the median CPU time of a training step."""
    times: list[float] = []
    forward = Step.forward

    def timed(self: Step, *arguments: Any) -> tuple[Tensor, Tensor]:
        times.append(time.process_time())
        return forward(self, *arguments)

    Step.forward = timed  # type: ignore[method-assign]
    try:
        recipe = recipe_of(given, objective, TIMED)
        fmcore.run(recipe, out=given.dir / "timing" / objective, device="cpu", quiet=True)
    finally:
        Step.forward = forward  # type: ignore[method-assign]
    return median(second - first for first, second in pairwise(times))


def plan(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the steps of each objective and the time of one, as measured the first time."""
    file = given.dir / "steps.json"
    if not file.exists():
        cost = {name: step_seconds(given, name) for name in OBJECTIVES}
        budget = given.steps * cost["flow_matching"]
        found = {k: {"steps": int(budget / v), "step_seconds": v} for k, v in cost.items()}
        write_json(file, found)
    planned: dict[str, dict[str, float]] = json.loads(file.read_text(encoding="utf-8"))
    return planned


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
    parser.add_argument("--steps", type=int, default=3000, help="steps of flow matching")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--as-is", action="store_true", help="do not resume stopped runs")
    parser.add_argument("--dir", type=Path, default=Path("runs/few_steps_images"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    planned, table = plan(given), dict[str, Any]()
    for objective, solvers in SOLVERS.items():
        recipe = recipe_of(given, objective, int(planned[objective]["steps"]))
        out = given.dir / f"{objective}-{given.seed}"
        resumed = not (given.as_is and (out / "checkpoints").is_dir())
        run = fmcore.run(recipe, out=out, device="cpu", quiet=True) if resumed else open_run(out)
        data = run.components.data
        cache = given.dir / "cache"
        done = max(int(file.stem.removeprefix("step-")) for file in (out / "checkpoints").iterdir())
        table[objective] = (
            planned[objective]
            | {"trained": done}
            | {
                solver: {str(n): distance(data, samples(run, solver, n), cache) for n in nfe}
                for solver, nfe in solvers.items()
            }
        )
        print(objective, json.dumps(table[objective]), flush=True)
    first = data.batch([60 * i for i in range(SAMPLES)])["x1"]
    write_json(
        RESULTS,
        {
            "machine": machine(),
            "seed": given.seed,
            "samples": SAMPLES,
            "data": distance(data, first, cache),
            "fd_lite0": table,
        },
    )
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
