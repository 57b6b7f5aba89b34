"""Compare `minibatch_ot` with torchcfm's OTPlanSampler: CPU time, rows kept and cost of the pairs.

    pip install --no-deps torchcfm==1.0.7 pot
    OMP_NUM_THREADS=1 python benchmarks/minibatch_ot.py [--json FILE]

Both get the same rows. torchcfm draws its pairs from the plan with replacement. Times are the best
of `--calls`, for both.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine
from torch import Tensor

from fmcore import create

SHAPES = {"2-D": (2,), "1x28x28": (1, 28, 28), "3x32x32": (3, 32, 32)}

Pairs = tuple[Tensor, Tensor]


def ours() -> Callable[[Tensor, Tensor], Pairs]:
    coupling, generator = create("coupling", "minibatch_ot"), torch.Generator()

    def pair(x0: Tensor, x1: Tensor) -> Pairs:
        paired = coupling.pair(x0, x1, generator)
        return paired.x0, paired.x1

    return pair


def theirs() -> Callable[[Tensor, Tensor], Pairs] | None:
    try:
        from torchcfm.optimal_transport import OTPlanSampler
    except ImportError as error:
        print(f"torchcfm is not installed ({error}): no comparison", file=sys.stderr)
        return None
    return OTPlanSampler(method="exact").sample_plan  # type: ignore[no-any-return]


def measured(
    pair: Callable[[Tensor, Tensor], Pairs], x0: Tensor, x1: Tensor, calls: int
) -> dict[str, float]:
    """Return best CPU milliseconds, share of the rows of x1 kept, and mean cost of a pair."""
    best = float("inf")
    for _ in range(calls):
        began = time.process_time()
        y0, y1 = pair(x0, x1)
        best = min(best, time.process_time() - began)
    kept = len(torch.unique(y1.flatten(1), dim=0)) / len(x1)
    cost = (y0 - y1).flatten(1).square().sum(1).mean()
    return {"cpu_ms": best * 1e3, "rows_kept": kept, "mean_cost": float(cost)}


def rows(batch: int, shape: tuple[int, ...]) -> Pairs:
    """Return noise, and data in two clusters, each `(batch, *shape)`."""
    g = torch.Generator().manual_seed(0)
    centre = (torch.arange(batch) % 2 * 2.0 - 1).reshape(-1, *(1,) * len(shape))
    x0 = torch.randn((batch, *shape), generator=g)
    return x0, centre + 0.5 * torch.randn((batch, *shape), generator=g)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pairings, found = (("fmcore", ours()), ("torchcfm", theirs())), []
    print("| rows | batch | pairing | CPU ms | rows kept | mean cost |")
    print("|---|---|---|---|---|---|")
    for name, shape in SHAPES.items():
        for batch in (256, 1024):
            x0, x1 = rows(batch, shape)
            for who, pair in pairings:
                if pair is None:
                    continue
                got = measured(pair, x0, x1, options.calls)
                found.append({"rows": name, "batch": batch, "pairing": who, **got})
                cells = f"{got['cpu_ms']:.1f} | {got['rows_kept']:.0%} | {got['mean_cost']:.4g}"
                print(f"| {name} | {batch} | {who} | {cells} |")
    if options.json is not None:
        report = {"calls": options.calls, "pairings": found, "machine": machine()}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
