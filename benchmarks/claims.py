"""Test the paper's claims about its five methods on small data. Minutes to an hour on a CPU.

    python benchmarks/claims.py [--data checkerboard,digits] [--seeds 0,1,2] [--jobs 2] [--out DIR]

Each of the five methods of Table 1 is trained with the same network, steps and seeds. The runs are
kept in DIR; the same command resumes. Metrics of each run:

* held-out likelihood and NFE of dopri5 at tolerance 1e-5, as in the recipe;
* from the figures of `fmcore table1`: the distance between data and samples of midpoint with 4, 8,
  20 and 100 NFE, uniform steps in t (Fig. 7), and the error of those samples against a tight solve
  from the same noise (Fig. 7, left);
* straightness: the mean square of velocity minus displacement, divided by that of the displacement.

Results are written to benchmarks/results/claims.json, a table and the verdicts to stdout.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from fmcore import Problem, create, load_recipe
from fmcore.benchmark.axes import ComponentSpec
from fmcore.benchmark.figure_options import FigureOptions
from fmcore.benchmark.method_runs import MethodRun
from fmcore.benchmark.table1 import table1
from fmcore.benchmark.table1_methods import METHODS
from fmcore.benchmark.table1_tables import FigureData
from fmcore.interfaces.randomness import noise_of
from fmcore.report.markdown import markdown_table
from fmcore.report.plots.method_curves import Panel
from fmcore.runs.files import write_json
from fmcore.runs.folder import RunFolder
from fmcore.runs.provenance import environment
from fmcore.stages.components import Components
from fmcore.stages.weights import trained_field

BUDGETS = (4, 8, 20, 100)
RESULTS = Path(__file__).parent / "results" / "claims.json"
RECIPES: Mapping[str, tuple[tuple[str, ...], str, int]] = {
    # overrides, the distance between samples and data, number of samples for the error
    "checkerboard": (
        ("train.steps=2000", "sample.count=2000", "sample.batch_size=1000", "evaluate.count=500"),
        "sliced_wasserstein",
        2000,
    ),
    "digits": (
        (
            "train.steps=200",
            "sample.count=200",
            "evaluate.count=32",
            "expect.bits_per_dim.max=null",
        ),
        "fd_lite0",
        32,
    ),
}
NOTHING: Callable[[str], None] = lambda line: None  # noqa: E731


class Flow:
    """The flow of a trained run, integrated by midpoint."""

    def __init__(self, folder: RunFolder) -> None:
        self.components = Components.of(folder.recipe())
        self.field, _ = trained_field(self.components, folder)
        self.path = self.components.path

    def noise(self, count: int) -> Tensor:
        return noise_of(self.path.prior(), range(count), self.components.data.shape, seed=0)

    @torch.no_grad()
    def step(self, x: Tensor, t0: float, t1: float) -> Tensor:
        solver = create("solver", "midpoint", steps=1, grid="uniform")
        solved: Tensor = solver.solve(Problem(self.field, x, t0=t0, t1=t1, path=self.path)).x
        return solved

    @torch.no_grad()
    def straightness(self, x0: Tensor, steps: int = 50) -> float:
        """Return the mean square of v - (x1 - x0) divided by that of x1 - x0; 0 for straight lines.

        v is the velocity averaged over each of `steps` steps of the trajectory.
        """
        times = torch.linspace(self.path.t_min, self.path.t_max, steps + 1).tolist()
        states = [x0]
        for t0, t1 in pairwise(times):
            states.append(self.step(states[-1], t0, t1))
        span = times[-1] - times[0]
        mean = (states[-1] - states[0]) / span
        speeds = [(b - a) / (span / steps) for a, b in pairwise(states)]
        off = fmean(float((v - mean).square().mean()) for v in speeds)
        return off / float(mean.square().mean())


def straightness(cell: MethodRun, compared: int) -> float | None:
    """Return the straightness of a run; cache it in straightness.json in its folder."""
    kept = cell.folder / "straightness.json"
    if not kept.exists():
        flow = Flow(RunFolder(cell.folder, NOTHING))
        write_json(kept, finite(flow.straightness(flow.noise(compared))))
    found: float | None = json.loads(kept.read_text())
    return found


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def spread(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [v for v in values if v is not None]
    if len(known) < len(values):  # averaging the others would hide a seed that diverged
        return {"mean": None, "std": None}
    return {"mean": fmean(known), "std": stdev(known) if len(known) > 1 else None}


def summarise(
    cells: Sequence[MethodRun], drawn: FigureData, name: str, straight: Mapping[Path, float | None]
) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for method in METHODS:
        own = [c for c in cells if c.method == method]
        row = {m: spread([c.results[m]["value"] for c in own]) for m in own[0].results}
        row |= budgeted("distance", drawn.panel(f"{name}-by-nfe"), method)
        row |= budgeted("error", drawn.panel("error-by-nfe"), method)
        row["straightness"] = spread([straight[c.folder] for c in own])
        rows[method] = row
    return rows


def budgeted(what: str, panel: Panel, method: str) -> dict[str, dict[str, float | None]]:
    """Return the curve of a method by `what@NFE`; None for a point that diverged."""
    places = {place.x: place for place in panel.curves.get(method, ())}
    return {
        f"{what}@{nfe}": {"mean": places[nfe].mean, "std": places[nfe].std}
        if nfe in places
        else {"mean": None, "std": None}
        for nfe in BUDGETS
    }


def verdicts(rows: Mapping[str, Any], likelihood: str) -> list[dict[str, Any]]:
    """Return the paper's claims, each with its figures and whether it held."""

    def mean(method: str, what: str) -> float:
        value = rows[method][what]["mean"]
        return math.inf if value is None else value

    def least(what: str, others: Sequence[str]) -> dict[str, Any]:
        values = {m: mean(m, what) for m in ("fm_ot", *others)}
        return {"values": values, "held": values["fm_ot"] == min(values.values())}

    rest = [m for m in METHODS if m != "fm_ot"]
    ot, vp = ([(n, mean(m, f"error@{n}")) for n in BUDGETS] for m in ("fm_ot", "fm_vp"))
    ratio = nfe_for(ot, vp[2][1]) / vp[2][0]
    return [
        {"claim": "FM-OT has the best likelihood (Table 1)", **least(likelihood, rest)},
        {"claim": "FM-OT needs the fewest NFE of dopri5 (Table 1)", **least("nfe", rest)},
        {"claim": "FM-OT's samples are nearest at 4 NFE (Fig. 7)", **least("distance@4", rest)},
        {"claim": "FM-OT's samples are nearest at 8 NFE (Fig. 7)", **least("distance@8", rest)},
        {"claim": "FM-OT's samples are nearest at 100 NFE", **least("distance@100", rest)},
        {
            "claim": "FM-OT reaches FM-diffusion's midpoint error at 20 NFE with ~60% (Fig. 7)",
            "values": {"part of the NFE": ratio},
            "held": ratio <= 0.7,
        },
        {
            "claim": "FM-OT's trajectories are straighter than FM-diffusion's",
            **least("straightness", ["fm_vp"]),
        },
    ]


def nfe_for(curve: Sequence[tuple[int, float]], error: float) -> float:
    """Return the NFE at which a curve of (nfe, error) falls to `error`, by log-log interpolation.

    Infinity if it never does.
    """
    for (n0, e0), (n1, e1) in pairwise(curve):
        if e0 >= error >= e1:
            part = math.log(e0 / error) / math.log(e0 / e1)
            return math.exp(math.log(n0) + part * math.log(n1 / n0))
    return float(curve[0][0]) if error > curve[0][1] else math.inf


def markdown(rows: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]) -> str:
    columns = list(next(iter(rows.values())))
    lines = [[METHODS[m].title, *(text(row[c]) for c in columns)] for m, row in rows.items()]
    table = markdown_table(["method", *columns], lines)
    held = "\n".join(
        f"* {'held' if c['held'] else '**did not hold**'}: {c['claim']}" for c in claims
    )
    return f"{table}\n\n{held}\n"


def text(value: Mapping[str, float | None]) -> str:
    if value["mean"] is None:
        return "diverged"
    return f"{value['mean']:.3g}" + ("" if value["std"] is None else f" ± {value['std']:.1g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="checkerboard,digits")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/claims"))
    given = parser.parse_args()
    if given.jobs > 1:  # each run is a process: divide the cores among them
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // given.jobs)))
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for data in given.data.split(","):
        overrides, name, compared = RECIPES[data]
        recipe = load_recipe(data, overrides)
        figures = FigureOptions(
            BUDGETS,
            metric=ComponentSpec("metric", name),
            samples=recipe.values["sample"]["count"],
            compared=compared,
        )
        made = table1(
            recipe,
            given.out / data,
            seeds=seeds,
            figures=figures,
            jobs=given.jobs,
            device="cpu",
        )
        if made.failures or made.figures is None:
            raise SystemExit("\n".join(made.failures))
        straight = {cell.folder: straightness(cell, compared) for cell in made.runs}
        rows = summarise(made.runs, made.figures, name, straight)
        claims = verdicts(rows, "nll" if data == "checkerboard" else "bits_per_dim")
        report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        report[data] = {
            "distance": name,
            "overrides": overrides,
            "train": recipe.values["train"],
            "seeds": seeds,
            "rows": rows,
            "claims": claims,
            "machine": environment(torch.device("cpu"))["machine"],
        }
        write_json(RESULTS, report)
        print(f"## {data}\n\n{markdown(rows, claims)}")


if __name__ == "__main__":
    main()
