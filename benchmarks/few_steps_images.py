"""Sample quality at few evaluations on images: distillation, MeanFlow and flow matching.

    python benchmarks/few_steps_images.py [--images digits|fashion] [--root FOLDER] [--steps N]
        [--methods NAME,...] [--seed 0] [--dir DIR]

Each method trains the network of recipe digits_classes, or of fashion_classes, for the same CPU
time on one thread: `--steps` are those of flow matching, and the others get as many as fit into the
same time by the medians of their steps, so that one busy moment of the machine decides nothing.
`distilled` is a chain: flow matching for half of the steps, then `consistency` from its weights,
with that run, guided, as the teacher.  Quality is `fd_lite0` of 1,000 samples with the labels
0 .. 9 in turn against the held-out images, from the same noise for each solver; `guided` adds
classifier-free guidance of scale 2, two evaluations of the network for each of the solver.  `data`
is the distance of training images.  The same command reuses finished runs in DIR.  Writes
results/few_steps_digits.json or results/few_steps_images.json.

Data: scikit-learn's digits, or FOLDER with the four IDX files, as in the Debian package
dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import machine
from step_cost import step_seconds
from torch import Tensor

import fmcore
from fmcore.interfaces.levels import to_levels
from fmcore.interfaces.randomness import noise_of
from fmcore.runs.files import write_json

RESULTS = Path(__file__).parent / "results"
FLOW, MAP = "flow_matching", "flow_map"
OBJECTIVES = {
    FLOW: "objective={name: flow_matching, time: stratified}",
    "mean_flow": "objective={name: mean_flow, power: 1, apart: 0.25}",
    "distilled": "objective={name: consistency, dt: 0.25, target: network, teacher: TEACHER}",
}
SOLVERS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    FLOW: {"euler": (4, 8), "midpoint": (4, 8, 16, 64), "guided euler": (4, 8)},
    "mean_flow": {MAP: (1, 2, 4)},
    "distilled": {"euler": (1,)},
}
SAMPLES = 1000
GUIDANCE = 2.0
TIMED = 16
"""Steps whose median is the cost of a step."""


@dataclass(frozen=True)
class Images:
    """The recipe of a dataset, the steps of its flow matching, and its results."""

    recipe: str
    steps: int
    methods: tuple[str, ...]
    file: str


IMAGES = {
    "digits": Images("digits_classes", 2000, tuple(OBJECTIVES), "few_steps_digits.json"),
    "fashion": Images("fashion_classes", 1200, (FLOW, "distilled"), "few_steps_images.json"),
}


def recipe_of(
    given: argparse.Namespace, method: str, steps: int, teacher: Path | None = None
) -> fmcore.Recipe:
    """Return the recipe of one training, without samples and metrics; `teacher` is the run that
    `distilled` starts from.
    """
    overrides = [f"seed={given.seed}", f"train.steps={steps}", "evaluate=null", "sample=null"]
    if given.root is not None:
        overrides.append(f"data.root={given.root}")
    objective = OBJECTIVES[method]
    if teacher is not None:
        guided = f"{{run: {teacher.resolve()}, guidance: {GUIDANCE}}}"
        objective = objective.replace("TEACHER", guided)
        # the guided teacher has no flow without a class
        overrides += [f"train.init={teacher.resolve()}", "train.label_dropout=0"]
    return fmcore.load_recipe(IMAGES[given.images].recipe, [objective, *overrides])


def base_run(given: argparse.Namespace) -> Path:
    """Return the folder of flow matching for half of the steps, trained."""
    out: Path = given.dir / f"base-{given.seed}"
    fmcore.run(recipe_of(given, FLOW, given.steps // 2), out=out, device="cpu", quiet=True)
    return out


def plan(given: argparse.Namespace, teacher: Path | None) -> dict[str, dict[str, float]]:
    """Return the steps of each method and the time of one, as measured the first time."""
    file: Path = given.dir / "steps.json"
    if not file.exists():
        cost = {
            name: step_seconds(
                recipe_of(given, name, TIMED, teacher if name == "distilled" else None),
                given.dir / "timing" / name,
            )
            for name in given.methods
        }
        flow = cost[FLOW]
        budget = dict.fromkeys(cost, given.steps * flow)
        budget["distilled"] = (given.steps - given.steps // 2) * flow
        found = {k: {"steps": int(budget[k] / v), "step_seconds": v} for k, v in cost.items()}
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
def samples(run: fmcore.Run, root: Path, solver: str, nfe: int) -> Tensor:
    """Return samples as levels; `guided NAME` is a solver with guidance."""
    scale = GUIDANCE if solver.startswith("guided ") else 1.0
    field = fmcore.RunOption(root, guidance=scale).open("cpu")
    path, data = run.components.path, run.components.data
    found = []
    for first in range(0, SAMPLES, 100):
        rows = range(first, first + 100)
        problem = fmcore.Problem(
            field=field,
            x0=noise_of(path.prior(), rows, data.shape, seed=0),
            path=path,
            condition=field.prepare({"label": torch.tensor(rows) % 10}),
        )
        solved = fmcore.create("solver", solver.removeprefix("guided "), nfe=nfe).solve(problem)
        found.append(solved.x)
    return to_levels(torch.cat(found), data.levels, data.dequantize)


def solvers_of(method: str, recipe: fmcore.Recipe) -> Mapping[str, tuple[int, ...]]:
    """Return the solvers and budgets of a method; guided ones where training dropped labels."""
    dropped = recipe.values["train"]["label_dropout"] > 0
    return {k: v for k, v in SOLVERS[method].items() if dropped or not k.startswith("guided ")}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", choices=IMAGES, default="digits")
    parser.add_argument("--root", type=Path, help="folder of the IDX files, for fashion")
    parser.add_argument("--steps", type=int, help="steps of flow matching")
    parser.add_argument("--methods", help="names, separated by commas; flow_matching is one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dir", type=Path)
    given = parser.parse_args()
    images = IMAGES[given.images]
    given.steps = given.steps or images.steps
    given.dir = given.dir or Path("runs") / f"few_steps_{given.images}"
    given.methods = given.methods.split(",") if given.methods else list(images.methods)
    torch.set_num_threads(1)
    base = base_run(given) if "distilled" in given.methods else None
    planned, table = plan(given, base), dict[str, Any]()
    for method in given.methods:
        teacher = base if method == "distilled" else None
        recipe = recipe_of(given, method, int(planned[method]["steps"]), teacher)
        out = given.dir / f"{method}-{given.seed}"
        run = fmcore.run(recipe, out=out, device="cpu", quiet=True)
        data, cache = run.components.data, given.dir / "cache"
        table[method] = planned[method] | {
            solver: {str(n): distance(data, samples(run, out, solver, n), cache) for n in nfe}
            for solver, nfe in solvers_of(method, recipe).items()
        }
        print(method, json.dumps(table[method]), flush=True)
    length = min(SAMPLES, data.length)
    first = data.batch([i * data.length // length for i in range(length)])["x1"]
    report = {
        "machine": machine(),
        "seed": given.seed,
        "samples": SAMPLES,
        "guidance": GUIDANCE,
        "steps": given.steps,
        "data": distance(data, first, cache),
        "fd_lite0": table,
    }
    write_json(RESULTS / images.file, report)
    print(json.dumps(report, indent=2), flush=True)


if __name__ == "__main__":
    main()
