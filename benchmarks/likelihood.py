"""Accuracy of log-densities by `dopri5`, with and without control of the divergence's error.

    OMP_NUM_THREADS=1 python benchmarks/likelihood.py [--out benchmarks/results/likelihood.json]
    OMP_NUM_THREADS=1 python benchmarks/likelihood.py --costs [--repeats 9]

Each row is the largest error of log p in nats, and the mean NFE of a sample, in float64 on samples
of the problem's data; "mean" is the mean of the Gaussian alone.  The reference is `dopri8` at
1e-11, its divergence controlled.  The checkerboard is learned by a short training, so that its
network is reproducible.  Takes less than a minute on one core.

`--costs` measures CPU time of log-densities by `midpoint` against that of the forward and backward
passes of the network that they need: of each step one pass without a graph and one with the
backward passes of the divergence.  Both take turns; times are medians.  Other rows stay.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor

import fmcore
from fmcore import Field, create, load_recipe, log_prob
from fmcore.flow.gaussian_mixture import (
    GaussianMixtureField,
    eight_gaussians,
    gaussian,
    stiff_mixture,
)

POINTS = 32
REFERENCE = 1e-11
TRAINING = ["train.steps=300", "train.batch_size=512", "sample=null", "evaluate=null", "expect={}"]
FIXED = (("midpoint", 100), ("midpoint", 400), ("rk4", 100), ("rk4", 400))


@dataclass(frozen=True)
class Case:
    """A field with points at which its log-density is measured, at these tolerances."""

    name: str
    field: Any
    path: Any
    points: Tensor
    tolerances: tuple[float, ...] = (1e-5,)


def samples(mixture: GaussianMixtureField) -> Tensor:
    """Return points of the mixture's data."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor(mixture.weights, dtype=torch.float64)
    chosen = torch.multinomial(weights, POINTS, replacement=True, generator=generator)
    means = torch.tensor(mixture.means, dtype=torch.float64)[chosen]
    stds = torch.tensor(mixture.stds, dtype=torch.float64)[chosen]
    noise = torch.randn(means.shape, generator=generator, dtype=torch.float64)
    return means + stds[:, None] * noise


def cases() -> Iterator[Case]:
    """Yield the closed forms, then the trained network."""
    ot, vp = create("path", "ot"), create("path", "vp")
    one = gaussian(ot)
    mean = torch.tensor(one.means, dtype=torch.float64)
    yield Case("mean of a Gaussian, `ot`", one, ot, mean, (1e-5, 1e-8))
    yield Case("Gaussian, `ot`", one, ot, samples(one))
    for name, make in (("eight Gaussians", eight_gaussians), ("stiff mixture", stiff_mixture)):
        for label, path in (("ot", ot), ("vp", vp)):
            yield Case(f"{name}, `{label}`", make(path), path, samples(make(path)))
    yield checkerboard()


def checkerboard() -> Case:
    """Train a network of 4 layers of 128 for 300 steps, and return its field in float64."""
    with tempfile.TemporaryDirectory() as folder:
        run = fmcore.run("checkerboard", TRAINING, out=Path(folder) / "run", quiet=True)
        field, path = run.field(), run.components.path
        field.model.double()
        points = run.components.data.with_split("test").batch(range(POINTS))["x1"].double()
    return Case("trained checkerboard", field, path, points, (1e-5, 1e-3))


def density(case: Case, solver: Any, **options: Any) -> tuple[Tensor, float]:
    """Return log p of the case's points, and the mean NFE."""
    found = log_prob(case.field, case.points, path=case.path, solver=solver, **options)
    return found.log_prob, float(found.stats.nfe.double().mean())


def measured(case: Case) -> Iterator[dict[str, Any]]:
    """Yield a row for each tolerance."""
    exact, _ = density(case, create("solver", "dopri8", rtol=REFERENCE, atol=REFERENCE))
    for tolerance in case.tolerances:
        solver = create("solver", "dopri5", rtol=tolerance, atol=tolerance)
        row: dict[str, Any] = {"problem": case.name, "tolerance": tolerance}
        for way, options in (("not_controlled", {"logdet_atol": math.inf}), ("default", {})):
            found, nfe = density(case, solver, **options)
            row[way] = {"error": float((found - exact).abs().max()), "nfe": nfe}
        yield row


def fixed(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the error of fixed solvers at a budget."""
    exact, _ = density(case, create("solver", "dopri8", rtol=REFERENCE, atol=REFERENCE))
    for name, nfe in FIXED:
        found, _ = density(case, create("solver", name, nfe=nfe))
        yield {"solver": name, "nfe": nfe, "error": float((found - exact).abs().max())}


def networks() -> Iterator[tuple[str, Any, Tensor, int, str]]:
    """Yield a label, a field with random weights, points, evaluations and the divergence."""
    path, objective = create("path", "ot"), create("objective", "flow_matching")
    torch.manual_seed(0)
    mlp = create("model", "mlp", shape=(2,), width=128, depth=4)
    yield "exact, 2,048 points", Field(mlp, path, objective), torch.randn(2048, 2), 40, "exact"
    options = {k: v for k, v in load_recipe("digits").values["model"].items() if k != "name"}
    unet = create("model", "unet", shape=(1, 8, 8), **options)
    points = torch.randn(32, 1, 8, 8)
    yield "one probe, 32 digits", Field(unet, path, objective), points, 8, "hutchinson"


def passes(field: Any, x: Tensor, nfe: int, divergence: str) -> None:
    """Call the field as often as midpoint does, with the backward passes of every second call."""
    t, probe = x.new_full((len(x),), 0.5), torch.ones_like(x)
    for _ in range(nfe // 2):
        with torch.no_grad():
            field(x, t)
        leaf = x.detach().requires_grad_()
        velocity = field(leaf, t)
        if divergence == "hutchinson":
            torch.autograd.grad(velocity, leaf, probe)
            continue
        flat = velocity.flatten(1)
        for i in range(flat.shape[1]):
            torch.autograd.grad(flat[:, i].sum(), leaf, retain_graph=i + 1 < flat.shape[1])


def costs(repeats: int) -> list[dict[str, Any]]:
    """Return the CPU seconds of log-densities and of their passes, and the ratio."""
    rows = []
    for label, field, x, nfe, divergence in networks():
        solver = create("solver", "midpoint", nfe=nfe)
        ways: dict[str, Callable[[], Any]] = {
            "log_prob": lambda f=field, x=x, s=solver, d=divergence: log_prob(
                f, x, path=f.path, solver=s, divergence=d
            ),
            "passes": lambda f=field, x=x, n=nfe, d=divergence: passes(f, x, n, d),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(repeats + 1):
            for name, way in ways.items():
                began = time.process_time()
                way()
                if number:  # the first calls allocate memory
                    spent[name].append(time.process_time() - began)
        seconds = {name: statistics.median(times) for name, times in spent.items()}
        ratio = seconds["log_prob"] / seconds["passes"]
        rows.append({"what": label, "nfe": nfe, **seconds, "ratio": ratio})
    return rows


def text_of(error: float) -> str:
    """Return an error as the page writes it: 2.6e-2."""
    digits, exponent = f"{error:.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table on the page."""
    lines, before = [], ""
    for row in rows:
        name = "" if row["problem"] == before else row["problem"]
        cells = [
            f"{text_of(row[w]['error'])}, {row[w]['nfe']:.0f}"
            for w in ("not_controlled", "default")
        ]
        tolerance = f"1e{round(math.log10(row['tolerance']))}"
        lines.append("| " + " | ".join([name, tolerance, *cells]) + " |")
        before = row["problem"]
    return [line.replace("|  |", "| |") for line in lines]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("benchmarks/results/likelihood.json"))
    arguments.add_argument("--costs", action="store_true")
    arguments.add_argument("--repeats", type=int, default=9)
    given = arguments.parse_args()
    out = given.out
    torch.set_num_threads(1)
    if given.costs:
        measured_costs = {
            "machine": machine(),
            "repeats": given.repeats,
            "rows": costs(given.repeats),
        }
        report = json.loads(out.read_text()) | {"costs": measured_costs}
        out.write_text(json.dumps(report, indent=2) + "\n")
        for row in measured_costs["rows"]:
            print(row)
        return
    found = list(cases())
    rows = [row for case in found for row in measured(case)]
    kept = json.loads(out.read_text()).get("costs") if out.exists() else None
    report = {
        "machine": machine(),
        **({"costs": kept} if kept else {}),
        "points": POINTS,
        "training": TRAINING,
        "rows": rows,
        "fixed": list(fixed(found[-1])),
    }
    out.write_text(json.dumps(report, indent=2) + "\n")
    print("\n".join(table(rows)))
    for row in report["fixed"]:
        print(row)


if __name__ == "__main__":
    main()
