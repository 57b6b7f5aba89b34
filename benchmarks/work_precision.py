"""Velocity evaluations at equal true error on trained networks: adaptive solvers and torchdiffeq.

    python benchmarks/work_precision.py RUN... [--count 1024] [--out FILE]

Each RUN is a run folder.  The truth is `dopri8` at 1e-9 in float64, with the same weights; solvers
run in float32, in batches of 1024.  The error is the RMS over samples and elements.  Evaluations
per sample at an error are interpolated between tolerances, linearly in the logarithms.  Runs that
are not given keep their rows in the file.
"""

from __future__ import annotations

import argparse
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from machine import machine

from fmcore import Problem, create
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.weights import trained_field

SOLVERS = ("torchdiffeq:dopri5", "dopri5", "tsit5", "bosh3", "adams")
TOLERANCES = (1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
ERRORS = (6e-3, 6e-4, 6e-5)
BATCH = 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("runs", nargs="+", type=Path)
    arguments.add_argument("--count", type=int, default=1024)
    arguments.add_argument(
        "--out", type=Path, default=Path("benchmarks/results/work_precision.json")
    )
    given = arguments.parse_args()
    torch.set_num_threads(1)
    old = json.loads(given.out.read_text()) if given.out.exists() else {}
    results: dict[str, Any] = {"machine": machine(), "counts": {}, "runs": {}, **old}
    for run in given.runs:
        results["counts"][run.name] = given.count
        results["runs"][run.name] = measured = measure(run, given.count)
        given.out.write_text(json.dumps(results, indent=2) + "\n")
        for name, row in measured.items():
            print(run.name, name, row["nfe_at_error"], row["ratio"], flush=True)


def measure(run: Path, count: int) -> dict[str, Any]:
    folder = RunFolder(run)
    components = Components.of(folder.recipe())
    field = trained_field(components, folder, "ema", torch.device("cpu"), None)[0]
    generator = torch.Generator().manual_seed(5)
    x0 = torch.randn(count, *components.data.shape, generator=generator)
    field.model.double()
    reference = create("solver", "dopri8", rtol=1e-9, atol=1e-9)
    truth = reference.solve(Problem(field, x0.double(), path=components.path)).x
    field.model.float()
    table: dict[str, Any] = {}
    for name in SOLVERS:
        curve = [point(field, x0, truth, components.path, name, tol) for tol in TOLERANCES]
        at = [nfe_at(curve, error) for error in ERRORS]
        base = table.get(SOLVERS[0], {"nfe_at_error": at})["nfe_at_error"]
        ratio = [a / b if a and b else None for a, b in zip(at, base, strict=True)]
        table[name] = {"curve": curve, "nfe_at_error": at, "ratio": ratio}
    return table


def point(field: Any, x0: Any, truth: Any, path: Any, name: str, tol: float) -> tuple[float, float]:
    """Return mean evaluations per sample, and the error."""
    nfe, squares = 0.0, 0.0
    for part, known in zip(x0.split(BATCH), truth.split(BATCH), strict=True):
        solver = create("solver", name, rtol=tol, atol=tol)
        solution = solver.solve(Problem(field, part, path=path))
        nfe += float(solution.stats.nfe.sum())
        squares += float((solution.x.double() - known).square().sum())
    return nfe / len(x0), math.sqrt(squares / truth.numel())


def table(results: dict[str, Any]) -> list[str]:
    """Return the rows of the table of docs/solvers.md."""
    lines = []
    for run, rows in results["runs"].items():
        recipe, _, path = run.partition("-")
        for name, row in rows.items():
            solver = name.replace("torchdiffeq:", "torchdiffeq ") if ":" in name else f"`{name}`"
            pairs = zip(row["nfe_at_error"], row["ratio"], strict=True)
            cells = (f"{nfe:.0f} ({ratio:.2f})" if nfe else "" for nfe, ratio in pairs)
            lines.append(f"| {recipe}, `{path}` | {solver} | {' | '.join(cells)} |")
    return lines


def nfe_at(curve: list[tuple[float, float]], error: float) -> float | None:
    """Return the evaluations at `error`, None if the curve does not pass it."""
    for (nfe0, error0), (nfe1, error1) in pairwise(curve):
        if error1 <= error <= error0:
            share = math.log(error0 / error) / math.log(error0 / error1)
            return nfe0 * (nfe1 / nfe0) ** share
    return None


if __name__ == "__main__":
    main()
