"""Work at equal true error on trained networks: adaptive solvers and torchdiffeq.

    python benchmarks/work_precision.py RUN... [--count 1024] [--out FILE]
    OMP_NUM_THREADS=1 python benchmarks/work_precision.py RUN... --whole [--rounds 7]

Each RUN is a run folder.  The truth is `dopri8` at 1e-9 in float64, with the same weights; solvers
run in float32, in batches of 1024.  The error is the RMS over samples and elements.  Evaluations
per sample at an error are interpolated between tolerances, linearly in the logarithms.  Runs that
are not given keep their rows in the file.

`--whole` measures CPU seconds for 4,096 samples instead: noise, solves of 1,024 samples at a time
and files, as `fmcore sample` makes them, against a loop over batches of 1,024 that draws noise,
calls torchdiffeq and writes an array.  Loading the network belongs to neither.  All take turns;
times are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from torch import Tensor

from fmcore import Problem, create
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.sampler import Sampler, shards_per_solve
from fmcore.stages.weights import trained_field

SOLVERS = ("torchdiffeq:dopri5", "dopri5", "tsit5", "bosh3", "adams")
TOLERANCES = (1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
ERRORS = (6e-3, 6e-4, 6e-5)
BATCH = 1024
WHOLE = {
    "torchdiffeq:dopri5": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "dopri5": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    "adams": (3e-2, 1e-2, 1e-3, 1e-4),
}
"""The solvers of `--whole`, with tolerances whose errors include `ERRORS`."""
SAMPLES = 4096


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("runs", nargs="+", type=Path)
    arguments.add_argument("--count", type=int, default=1024)
    arguments.add_argument(
        "--out", type=Path, default=Path("benchmarks/results/work_precision.json")
    )
    arguments.add_argument("--whole", action="store_true")
    arguments.add_argument("--rounds", type=int, default=7)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    old = json.loads(given.out.read_text()) if given.out.exists() else {}
    results: dict[str, Any] = {"machine": machine(), "counts": {}, "runs": {}, **old}
    for run in given.runs:
        if given.whole:
            results.setdefault("whole", {})[run.name] = rows = whole(run, given.rounds)
            results["whole_machine"] = machine()
            given.out.write_text(json.dumps(results, indent=2) + "\n")
            print(run.name, *whole_table({run.name: rows}), sep="\n", flush=True)
            continue
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


def whole(run: Path, rounds: int) -> dict[str, Any]:
    """Return CPU seconds for all samples by each solver, with the error, and both at `ERRORS`."""
    folder = RunFolder(run)
    components = Components.of(folder.recipe())
    field = trained_field(components, folder, "ema", torch.device("cpu"), None)[0]
    noise = sampler(components, field, "dopri5", 1e-5).noise(range(SAMPLES))
    field.model.double()
    reference = create("solver", "dopri8", rtol=1e-9, atol=1e-9)
    truth = torch.cat(
        [
            reference.solve(Problem(field, part.double(), path=components.path)).x
            for part in noise.split(BATCH)
        ]
    )
    field.model.float()
    ways: dict[tuple[str, float], Callable[[Path], Tensor]] = {}
    for name, tolerances in WHOLE.items():
        for tol in tolerances:
            one = sampler(components, field, name, tol) if ":" not in name else None
            ways[name, tol] = (
                (lambda root, tol=tol: loop(field, noise, components.path, tol, root))
                if one is None
                else (lambda root, one=one: draw(one, root))
            )
    spent: dict[tuple[str, float], list[float]] = {way: [] for way in ways}
    errors: dict[tuple[str, float], float] = {}
    for number in range(rounds + 1):
        for way, make in ways.items():
            with tempfile.TemporaryDirectory() as root, torch.no_grad():
                began = time.process_time()
                found = make(Path(root))
                if number:  # the first calls allocate memory
                    spent[way].append(time.process_time() - began)
            errors[way] = float((found.double() - truth).square().mean().sqrt())
    table: dict[str, Any] = {}
    for name, tolerances in WHOLE.items():
        curve = [(statistics.median(spent[name, t]), errors[name, t]) for t in tolerances]
        at = [nfe_at(curve, error) for error in ERRORS]
        base = table.get("torchdiffeq:dopri5", {"seconds_at_error": at})["seconds_at_error"]
        ratio = [a / b if a and b else None for a, b in zip(at, base, strict=True)]
        table[name] = {"curve": curve, "seconds_at_error": at, "ratio": ratio}
    return table | {"rounds": rounds}


def sampler(components: Components, field: Any, name: str, tol: float) -> Sampler:
    """Return the sampler of a run with this solver, for all samples in batches of `BATCH`."""
    chosen = {"solver": {"name": name, "rtol": tol, "atol": tol}}
    chosen |= {"count": SAMPLES, "batch_size": BATCH}
    settings = components.recipe.override([f"sample={json.dumps(chosen)}"]).settings("sample")
    return Sampler(components, settings, field, torch.device("cpu"))


def draw(own: Sampler, root: Path) -> Tensor:
    """Draw and write all samples as `fmcore sample` does; return them."""
    shards = Shards(root / "samples", SAMPLES, BATCH)
    shards.begin({"count": SAMPLES, "batch_size": BATCH})
    ranges = shards.missing()
    width = shards_per_solve(own.settings.solver, len(ranges))
    made = []
    for first in range(0, len(ranges), width):
        together = ranges[first : first + width]
        for indices, drawn in zip(together, own.draw_together(together), strict=True):
            shards.write(indices, drawn)
            made.append(drawn["x"])
    return torch.cat(made)


def loop(field: Any, noise: Tensor, path: Any, tol: float, root: Path) -> Tensor:
    """Draw noise, solve by torchdiffeq and write arrays, batch by batch; return the samples of the
    given `noise`, so that their error is known.
    """
    from torchdiffeq import odeint

    times = torch.tensor([path.t_min, path.t_max], dtype=torch.float64)
    made = []
    for number, known in enumerate(noise.split(BATCH)):
        torch.randn(known.shape)  # its cost; the samples are those of known noise
        found = odeint(
            lambda t, x: field(x, t.to(x.dtype).expand(len(x))),
            known,
            times,
            rtol=tol,
            atol=tol,
            method="dopri5",
        )[-1]
        np.save(root / f"batch-{number}.npy", found.numpy())
        made.append(found)
    return torch.cat(made)


def whole_table(runs: dict[str, Any]) -> list[str]:
    """Return the rows of the table of whole samples of docs/solvers.md."""
    lines = []
    for run, rows in runs.items():
        recipe, _, path = run.partition("-")
        for name in WHOLE:
            solver = name.replace("torchdiffeq:", "torchdiffeq ") if ":" in name else f"`{name}`"
            pairs = zip(rows[name]["seconds_at_error"], rows[name]["ratio"], strict=True)
            cells = (f"{s:.2f} ({ratio:.2f})" if s and ratio else "" for s, ratio in pairs)
            lines.append(f"| {recipe}, `{path}` | {solver} | {' | '.join(cells)} |")
    return lines


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
