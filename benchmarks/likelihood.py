"""Accuracy of log-densities by `dopri5`, with and without control of the divergence's error.

    OMP_NUM_THREADS=1 python benchmarks/likelihood.py [--out benchmarks/results/likelihood.json]

Each row is the largest error of log p in nats, and the mean NFE of a sample, in float64 on samples
of the problem's data; "mean" is the mean of the Gaussian alone.  The reference is `dopri8` at
1e-11, its divergence controlled.  The checkerboard is learned by a short training, so that its
network is reproducible.  Takes less than a minute on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor

import fmcore
from fmcore import create, log_prob
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
    out = arguments.parse_args().out
    torch.set_num_threads(1)
    found = list(cases())
    rows = [row for case in found for row in measured(case)]
    report = {
        "machine": machine(),
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
