"""fmcore's fixed and adaptive solvers against torchdiffeq's on a GPU, with real U-Nets.

    python benchmarks/gpu_solvers.py [--repeats 7] [--out benchmarks/results/gpu_solvers.json]

Networks: a small, a CIFAR-10-size and an ADM-64-size U-Net, untrained (the time of a solve does not
depend on the weights, but the steps of an adaptive one do).  Seconds are wall time between
synchronisations, interleaved over the solvers, the median of `--repeats`.  Fixed solves run once
more under `torch.cuda.set_sync_debug_mode("error")`: whether the host waited is in the results.

Has not run yet: without CUDA it says so and stops.
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
from torch import Tensor, nn

from fmcore import Problem, create
from fmcore.solving import CompiledSteps

NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "small": (
        32,
        {"channels": 32, "depth": 1, "channel_mult": [1, 2], "attention_resolutions": []},
    ),
    "cifar": (
        32,
        {"channels": 128, "depth": 2, "channel_mult": [1, 2, 2, 2], "attention_resolutions": [16]},
    ),
    "adm64": (
        64,
        {
            "channels": 192,
            "depth": 3,
            "channel_mult": [1, 2, 3, 4],
            "attention_resolutions": [32, 16, 8],
            "head_channels": 64,
        },
    ),
}
BATCHES = (8, 64, 256)
NFE = 20
Way = Callable[[], int]
"""Solves once and says how many calls it took."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--repeats", type=int, default=7)
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    arguments.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu_solvers.json"))
    given = arguments.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return
    rows = [
        {"network": name, "batch": batch, **row}
        for name in given.networks
        for batch in given.batches
        for row in cell(name, batch, given.repeats)
    ]
    machine = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    for row in rows:
        print(row)


def cell(name: str, batch: int, repeats: int) -> list[dict[str, Any]]:
    """All ways of solving with one network and batch; one that fails is a row with its reason."""
    size, options = NETWORKS[name]
    torch.manual_seed(0)
    model = create("model", "unet", shape=(3, size, size), **options).cuda().eval()
    for parameter in model.parameters():
        if not parameter.any():  # else the last layer makes every velocity 0
            nn.init.normal_(parameter, std=0.02)
    x0 = torch.randn(batch, 3, size, size, device="cuda")
    bare = forward_seconds(model, x0, repeats)
    ready, rows = {}, []
    for way, solve in ways(model, x0).items():
        try:
            solve()  # compiles, plans, warms up
            ready[way] = solve
        except Exception as error:  # a row with its reason, for any of them
            rows.append({"way": way, "failed": f"{type(error).__name__}: {error}"[:300]})
    seconds: dict[str, list[float]] = {way: [] for way in ready}
    calls: dict[str, int] = {}
    for _ in range(repeats):
        for way, solve in ready.items():
            took, calls[way] = timed(solve)
            seconds[way].append(took)
    for way, solve in ready.items():
        whole = statistics.median(seconds[way])
        rows.append(
            {
                "way": way,
                "seconds": whole,
                "calls": calls[way],
                "forward_ms": 1e3 * bare,
                "outside_us_per_call": 1e6 * (whole / calls[way] - bare),
                "waits": waits(solve) if way.startswith("ours midpoint") else None,
            }
        )
    return rows


def ways(model: nn.Module, x0: Tensor) -> dict[str, Way]:
    """Each way by name."""

    def field(x: Tensor, t: Tensor) -> Tensor:
        velocity: Tensor = model(x, t)
        return velocity

    problem = Problem(field, x0)

    def solved(solver: Any) -> Way:
        return lambda: int(solver.solve(problem).stats.calls)

    def compiled(mode: str | None) -> Way:
        steps, plan = CompiledSteps(field, mode=mode), create("solver", "midpoint", nfe=NFE).plan()
        return lambda: int(steps.execute(plan, problem).stats.calls)

    tolerance = {"rtol": 1e-3, "atol": 1e-3}
    adaptive = {
        f"ours dopri5 {coupling}": solved(
            create("solver", "dopri5", coupling=coupling, **tolerance)
        )
        for coupling in ("sample", "batch_max", "batch_rms")
    }
    return {
        "torchdiffeq midpoint": solved(create("solver", "torchdiffeq:midpoint", nfe=NFE)),
        "ours midpoint": solved(create("solver", "midpoint", nfe=NFE)),
        "ours midpoint, compiled steps": compiled(None),
        "ours midpoint, graphed steps": compiled("reduce-overhead"),
        "torchdiffeq dopri5": solved(create("solver", "torchdiffeq:dopri5", **tolerance)),
        **adaptive,
    }


def timed(solve: Way) -> tuple[float, int]:
    """Seconds until the device is done, and calls."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    calls = solve()
    torch.cuda.synchronize()
    return time.perf_counter() - start, calls


def forward_seconds(model: nn.Module, x: Tensor, repeats: int) -> float:
    """One call of the network, within a row of ten."""
    t = torch.full((len(x),), 0.5, device=x.device)

    def ten() -> int:
        with torch.no_grad():
            for _ in range(10):
                model(x, t)
        return 10

    ten()
    return statistics.median(timed(ten)[0] for _ in range(repeats)) / 10


def waits(solve: Way) -> bool:
    """Whether the host waits for the device during a solve."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        solve()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False


if __name__ == "__main__":
    main()
