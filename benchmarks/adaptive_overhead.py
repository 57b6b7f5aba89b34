"""Time of an adaptive solve outside the field, against a hand-written dopri5 loop.

    OMP_NUM_THREADS=1 python benchmarks/adaptive_overhead.py [--repeats 15] [--out FILE]

The loop below is what a script without fmcore would have: one step size for the whole batch, the
classical controller, no statuses, limits, dense output, gradients or divergences.  fmcore's
`dopri5` with one step size for the batch does the same work; with one for each sample it does
more, as does `adams`, whose weights depend on the last steps.  All take turns; each time is CPU
time a call of the field, without the field itself (-x), and the median over the rounds.
Takes less than a minute on one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor

from fmcore import Problem, create

TOLERANCE = 1e-7
SHAPES = {"(64, 2)": (64, 2), "(64, 3, 32, 32)": (64, 3, 32, 32)}
WAYS = {
    "per_sample": ("dopri5", "per_sample"),
    "batch_rms": ("dopri5", "batch_rms"),
    "adams": ("adams", "per_sample"),
}
# Dormand and Prince 1980; the last stage is at the new point, so that the next step reuses it.
NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
EMBEDDED = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
ERROR = tuple(b - e for b, e in zip((*STAGES[-1], 0.0), EMBEDDED, strict=True))


def negative(x: Tensor, t: Tensor) -> Tensor:
    return -x


def combined(x: Tensor, h: float, weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    """Return x + h sum_i weights_i slopes_i."""
    total = x
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            total = total + (h * weight) * slope
    return total


def loop(x: Tensor) -> tuple[Tensor, int]:
    """Integrate dx/dt = -x from 0 to 1 by hand; return the end and the calls of the field."""
    t, h, calls = 0.0, 0.05, 1
    slope = negative(x, x.new_full((len(x),), t))
    while t < 1:
        h = min(h, 1 - t)
        slopes = [slope]
        for node, weights in zip(NODES, STAGES, strict=True):
            new = combined(x, h, weights, slopes)
            slopes.append(negative(new, x.new_full((len(x),), t + node * h)))
            calls += 1
        scale = TOLERANCE * (1 + torch.maximum(x.abs(), new.abs()))
        error = combined(torch.zeros_like(x), h, ERROR, slopes)
        ratio = float((error / scale).square().mean().sqrt())
        if ratio <= 1:
            t, x, slope = t + h, new, slopes[-1]
        h *= min(10.0, max(0.2, 0.9 * max(ratio, 1e-10) ** -0.2))
    return x, calls


def ours(x: Tensor, name: str, step_control: str) -> Callable[[], tuple[Tensor, int]]:
    solver = create("solver", name, rtol=TOLERANCE, atol=TOLERANCE, step_control=step_control)
    problem = Problem(negative, x)

    def solve() -> tuple[Tensor, int]:
        solution = solver.solve(problem)
        return solution.x, solution.stats.calls

    return solve


def field_us(x: Tensor, calls: int) -> float:
    t = x.new_zeros(len(x))
    began = time.process_time()
    for _ in range(calls):
        negative(x, t)
    return (time.process_time() - began) / calls * 1e6


def compare(shape: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Return microseconds a call outside the field, and the ratios to the loop."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ways = {"loop": lambda: loop(x), **{n: ours(x, *way) for n, way in WAYS.items()}}
    solves = 10 if x.numel() < 1000 else 2
    spent: dict[str, list[float]] = {name: [] for name in [*ways, "field"]}
    found = {}
    with torch.no_grad():
        for name, solve in ways.items():  # the first calls allocate memory
            end, calls = solve()
            error = float((end - x * torch.tensor(-1.0).exp()).abs().max())
            found[name] = {"calls": calls, "error": error}
        for _ in range(repeats):
            spent["field"].append(field_us(x, 50 * solves))
            for name, solve in ways.items():
                began = time.process_time()
                calls = sum(solve()[1] for _ in range(solves))
                spent[name].append((time.process_time() - began) / calls * 1e6)
    field = statistics.median(spent["field"])
    for name in ways:
        found[name]["us_per_call"] = statistics.median(spent[name]) - field
    for way in WAYS:
        found[way]["ratio"] = found[way]["us_per_call"] / found["loop"]["us_per_call"]
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=15)
    default = Path("benchmarks/results/adaptive_overhead.json")
    arguments.add_argument("--out", type=Path, default=default)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    shapes = {label: compare(shape, given.repeats) for label, shape in SHAPES.items()}
    report = {"machine": machine(), "repeats": given.repeats, "shapes": shapes}
    given.out.write_text(json.dumps(report, indent=2) + "\n")
    for label, rows in shapes.items():
        for name, row in rows.items():
            ratio = f", {row['ratio']:.2f} of the loop" if "ratio" in row else ""
            print(
                f"{label:<18}{name:<12}{row['us_per_call']:>8.1f} us, {row['calls']} calls{ratio}"
            )


if __name__ == "__main__":
    main()
