"""Compare fmcore's fixed and adaptive solvers with torchdiffeq's on a GPU, on U-Nets.

    python benchmarks/gpu_solvers.py [--repeats 7] [--out benchmarks/results/gpu_solvers.json]
    python benchmarks/gpu_solvers.py --smoke       test the script in a minute on a CPU

Networks: a small, a CIFAR-10-size and an ADM-64-size U-Net, untrained. The time of a fixed solve
does not depend on the weights; the number of steps of an adaptive solve does. Seconds are wall time
between synchronisations, the median of `--repeats` rounds in which all solvers take turns;
megabytes are the peak memory of one solve above what was allocated before it. Fixed solves run once
more under `torch.cuda.set_sync_debug_mode("error")`, which records whether the host waited. Each
row names the backend that ran and, if it is not the requested one, the reason.

Has not run on a GPU yet. Without CUDA it prints a message and exits. `--smoke` measures a tiny
network on a CPU; its figures do not apply to a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor, nn

from fmcore import FmcoreWarning, Problem, Solution, create
from fmcore.solving import CompiledSteps

NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "tiny": (
        8,
        {"channels": 32, "depth": 1, "channel_mult": [1], "attention_resolutions": []},
    ),
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
FIXED = ("midpoint", "unipc")
BACKENDS = ("eager", "fused", "graph")
COUPLINGS = ("per_sample", "batch_max", "batch_rms")
Way = Callable[[], Solution]


@dataclass(frozen=True)
class Setting:
    """The networks, batch sizes and repeats to measure; the defaults are for a GPU."""

    device: torch.device
    networks: tuple[str, ...] = ("small", "cifar", "adm64")
    batches: tuple[int, ...] = (8, 64, 256)
    repeats: int = 7
    nfe: int = 20
    compiler: str = "inductor"


SMOKE = Setting(torch.device("cpu"), ("tiny",), (2,), 1, 4, "eager")
"""Runs every line of the script except those that need a GPU."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--smoke", action="store_true", help="test the script on a CPU")
    arguments.add_argument("--repeats", type=int, default=7)
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS)
    arguments.add_argument("--batches", nargs="+", type=int)
    arguments.add_argument("--out", type=Path)
    given = arguments.parse_args()
    if not given.smoke and not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return
    warnings.simplefilter("ignore", FmcoreWarning)  # the rows hold the reasons
    setting = SMOKE if given.smoke else chosen(given)
    rows = []
    for name in setting.networks:
        for batch in setting.batches:
            for row in cell(name, batch, setting):
                rows.append({"network": name, "batch": batch, **row})
                print(json.dumps(rows[-1]), flush=True)
    out = given.out or (None if given.smoke else Path("benchmarks/results/gpu_solvers.json"))
    if out is not None:
        report = {"smoke": given.smoke, "machine": machine() | peers(), "rows": rows}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def chosen(given: argparse.Namespace) -> Setting:
    usual = Setting(torch.device("cuda"))
    return Setting(
        usual.device,
        tuple(given.networks or usual.networks),
        tuple(given.batches or usual.batches),
        given.repeats,
    )


def peers() -> dict[str, Any]:
    """Return the versions of the other libraries measured, None if not installed."""
    names = ("torchdiffeq", "triton")
    return {name: version(name) if importlib.util.find_spec(name) else None for name in names}


def cell(name: str, batch: int, setting: Setting) -> list[dict[str, Any]]:
    """Measure all solvers on one network and batch size; a failure is a row with its reason."""
    size, options = NETWORKS[name]
    torch.manual_seed(0)
    model = create("model", "unet", shape=(3, size, size), **options).to(setting.device).eval()
    for parameter in model.parameters():
        if not parameter.any():  # the last layer is zero at first: the field would be 0
            nn.init.normal_(parameter, std=0.02)
    x0 = torch.randn(batch, 3, size, size, device=setting.device)
    bare = forward_seconds(model, x0, setting.repeats)
    ready: dict[str, Way] = {}
    rows = []
    for way, solve in ways(model, x0, setting).items():
        try:
            solve()  # not timed: compiles, plans, records graphs
            ready[way] = solve
        except Exception as error:  # one failure must not end the others
            rows.append({"way": way, "failed": f"{type(error).__name__}: {error}"[:300]})
    seconds: dict[str, list[float]] = {way: [] for way in ready}
    for _ in range(setting.repeats):
        for way, solve in ready.items():
            seconds[way].append(timed(solve, setting.device))
    for way, solve in ready.items():
        rows.append({"way": way, **measured(way, solve, seconds[way], bare, setting)})
    return rows


def measured(
    way: str, solve: Way, seconds: list[float], bare: float, setting: Setting
) -> dict[str, Any]:
    """Return the figures of one solver, after another solve for memory and one for waits."""
    peak, solution = peak_memory(solve, setting.device)
    whole, stats = statistics.median(seconds), solution.stats
    fixed = way.startswith("ours") and "dopri5" not in way
    return {
        "ran": None if way.startswith("torchdiffeq") else stats.extra.get("backend", "eager"),
        "refused": stats.extra.get("refused"),
        "seconds": whole,
        "calls": int(stats.calls),
        "forward_ms": 1e3 * bare,
        "outside_us_per_call": 1e6 * (whole / int(stats.calls) - bare),
        "peak_mb": peak,
        "waits": waits(solve) if fixed and setting.device.type == "cuda" else None,
    }


def ways(model: nn.Module, x0: Tensor, setting: Setting) -> dict[str, Way]:
    """Return a solve of `x0` for each solver and backend, by name."""

    def field(x: Tensor, t: Tensor) -> Tensor:
        velocity: Tensor = model(x, t)
        return velocity

    path, nfe = create("path", "ot"), setting.nfe
    problem = Problem(field, x0, path=path)
    steps = CompiledSteps(field, backend=setting.compiler)

    def by(name: str, **options: Any) -> Way:
        solver = create("solver", name, **options)
        return lambda: solver.solve(problem)

    def compiled(name: str) -> Way:
        plan = create("solver", name, nfe=nfe).plan(path=path)
        return lambda: steps.execute(plan, problem, nfe, backend="compiled")

    found = {"torchdiffeq midpoint": by("torchdiffeq:midpoint", nfe=nfe)}
    for name in FIXED:
        for backend in BACKENDS:
            found[f"ours {name}, {backend}"] = by(name, nfe=nfe, backend=backend)
        found[f"ours {name}, compiled"] = compiled(name)
    tolerance = {"rtol": 1e-3, "atol": 1e-3}
    found["torchdiffeq dopri5"] = by("torchdiffeq:dopri5", **tolerance)
    for coupling in COUPLINGS:
        found[f"ours dopri5 {coupling}"] = by("dopri5", step_control=coupling, **tolerance)
    return found


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until the device has finished `work`."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(solve: Way, device: torch.device) -> tuple[float | None, Solution]:
    """Return the peak memory in MiB above what was allocated before, and the solution.

    None on a CPU, and for a CUDA graph, which has a memory pool of its own.
    """
    if device.type != "cuda":
        return None, solve()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    solution = solve()
    torch.cuda.synchronize(device)
    if solution.stats.extra.get("backend") == "graph":
        return None, solution
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20, solution


def forward_seconds(model: nn.Module, x: Tensor, repeats: int) -> float:
    """Return the seconds of one network call, the mean of ten in sequence."""
    t = torch.full((len(x),), 0.5, device=x.device)

    def ten() -> None:
        with torch.no_grad():
            for _ in range(10):
                model(x, t)

    ten()
    return statistics.median(timed(ten, x.device) for _ in range(repeats)) / 10


def waits(solve: Way) -> bool:
    """Return whether the host waits for the device during a solve."""
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
