"""Compare fmcore's solvers with torchdiffeq's and torchode's, in one run on one thread.

    python benchmarks/solvers.py [--repeats 9] [--out benchmarks/results/solvers.json]
    python benchmarks/solvers.py --images [--repeats 9]

torchode is optional (`pip install torchode==1.0.1`). It is called eagerly, since `torch.jit.script`
of its solver fails in torch 2.13; with the same tolerances; with the classical controller, with the
PI coefficients of fmcore's solvers, and with those of its `solve_ivp`.

Timings are CPU seconds, the median of `--repeats` rounds in which all solvers take turns. The field
is -x; its time is measured in the same rounds and subtracted. Counts (operations, waits,
evaluations) are exact.

`--images` measures 64 digits by the U-Net of recipe digits, with random weights, in 16 evaluations:
`midpoint` against the loop of a diffusers pipeline over FlowMatchEulerDiscreteScheduler. Other rows
stay in the file.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor, nn
from torchdiffeq import odeint

from fmcore import Field as FmcoreField
from fmcore import Problem, create, load_recipe, log_prob
from fmcore.flow.gaussian_mixture import eight_gaussians, stiff_mixture
from fmcore.testing.flows import Waits

Field = Callable[[Tensor, Tensor], Tensor]
SHAPES = {"(64, 2)": (64, 2), "(64, 3, 32, 32)": (64, 3, 32, 32)}
NFE = 40


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=9)
    arguments.add_argument("--out", type=Path, default=Path("benchmarks/results/solvers.json"))
    arguments.add_argument("--images", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    if given.images:
        found = {"machine": machine(), "repeats": given.repeats, **images(given.repeats)}
        results = json.loads(given.out.read_text()) | {"images": found}
        given.out.write_text(json.dumps(results, indent=2) + "\n")
        print(found)
        return
    kept = json.loads(given.out.read_text()).get("images") if given.out.exists() else None
    results = {
        **({"images": kept} if kept else {}),
        "machine": machine(),
        "repeats": given.repeats,
        "outside_the_model": outside_the_model(given.repeats),
        "stiff_mixture_on_vp": stiff_on_vp(),
        "refill": refill(),
        "log_prob": density(given.repeats),
        "few_steps_on_vp": few_steps(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=2) + "\n")
    report(results)


def negative(x: Tensor, t: Tensor) -> Tensor:
    return -x


def ours(name: str, x: Tensor, **options: Any) -> Callable[[], int]:
    solver = create("solver", name, **options)
    problem = Problem(negative, x)
    return lambda: solver.solve(problem).stats.calls


def theirs(name: str, x: Tensor, **options: Any) -> Callable[[], int]:
    times = torch.tensor([0.0, 1.0])

    def solve() -> int:
        calls = 0

        def field(t: Tensor, y: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return -y

        odeint(field, x, times, method=name, **options)
        return calls

    return solve


TORCHODES = {"I": None, "PI": (0.4, 0.3, 0.0), "PI of solve_ivp": (0.2, 0.5, 0.0)}
"""Coefficients (p, i, d) of torchode's controllers; None for the classical one."""


def torchodes(x: Tensor, coefficients: tuple[float, ...] | None) -> Callable[[], int]:
    """Return a solve by torchode's dopri5, one step size per sample.

    Samples are flattened to `(batch, features)`, the only shape it accepts.
    """
    import torchode

    calls = 0

    def field(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return -y

    term = torchode.ODETerm(field, with_stats=False)
    if coefficients is None:
        controller = torchode.IntegralController(1e-7, 1e-7, term=term)
    else:
        controller = torchode.PIDController(1e-7, 1e-7, *coefficients, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller)
    start, end = torch.zeros(len(x)), torch.ones(len(x))
    problem = torchode.InitialValueProblem(y0=x.flatten(1), t_start=start, t_end=end)

    def solve() -> int:
        nonlocal calls
        calls = 0
        solver.solve(problem)
        return calls

    return solve


def contestants(x: Tensor) -> dict[str, Callable[[], int]]:
    solvers: dict[str, Callable[[], int]] = {}
    for name, nfe_per_step in (("euler", 1), ("midpoint", 2), ("rk4", 4)):
        solvers[name] = ours(name, x, nfe=NFE)
        step = {"step_size": nfe_per_step / NFE}
        solvers[f"torchdiffeq {name}"] = theirs(name, x, options=step)
    for coupling in ("batch_rms", "batch_max", "per_sample"):
        solvers[f"dopri5 {coupling}"] = ours(
            "dopri5", x, rtol=1e-7, atol=1e-7, step_control=coupling
        )
    with torch.no_grad():
        solvers["torchdiffeq dopri5"] = theirs("dopri5", x, rtol=1e-7, atol=1e-7)
    if find_spec("torchode"):
        for controller, coefficients in TORCHODES.items():
            solvers[f"torchode dopri5, {controller}"] = torchodes(x, coefficients)
    path = create("path", "linear")
    for name in ("dpmpp_2m", "unipc"):
        solver = create("solver", name, nfe=NFE)
        problem = Problem(negative, x, path=path)
        solvers[name] = lambda solver=solver, problem=problem: solver.solve(problem).stats.calls
    return solvers


def outside_the_model(repeats: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for label, shape in SHAPES.items():
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        solvers = contestants(x)
        loops = 20 if x.numel() < 1000 else 2
        spent: dict[str, list[float]] = {name: [] for name in [*solvers, "field"]}
        with torch.no_grad():
            for solve in solvers.values():
                solve()
            for _ in range(repeats):
                spent["field"].append(field_time(x, loops * NFE))
                for name, solve in solvers.items():
                    start = time.process_time()
                    calls = sum(solve() for _ in range(loops))
                    spent[name].append((time.process_time() - start) / calls * 1e6)
        field = statistics.median(spent["field"])
        table[label] = {
            name: {
                "us_per_nfe": statistics.median(times) - field,
                "field_us": field,
                **counts(solvers[name]),
            }
            for name, times in spent.items()
            if name != "field"
        }
    return table


def field_time(x: Tensor, calls: int) -> float:
    t = x.new_zeros(len(x))
    start = time.process_time()
    for _ in range(calls):
        negative(x, t)
    return (time.process_time() - start) / calls * 1e6


def counts(solve: Callable[[], int]) -> dict[str, float]:
    """Return operations and waits; of the operations per NFE, the field's own is subtracted."""
    with torch.no_grad(), Waits() as counted:
        calls = solve()
    return {
        "calls": calls,
        "operations_per_nfe": counted.operations / calls - 1,
        "waits": counted.waits,
    }


def images(repeats: int) -> dict[str, Any]:
    """Return CPU seconds and operations of 64 digits by 16 evaluations, ours and diffusers'."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    path, objective = create("path", "ot"), create("objective", "flow_matching")
    torch.manual_seed(0)
    options = {k: v for k, v in load_recipe("digits").values["model"].items() if k != "name"}
    field = FmcoreField(create("model", "unet", shape=(1, 8, 8), **options), path, objective)
    x0 = torch.randn(64, 1, 8, 8)
    solver = create("solver", "midpoint", nfe=16, backend="auto")

    def pipeline() -> Tensor:
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(16)
        x = x0
        for t in scheduler.timesteps:  # from 1000, noise, to 0, data
            velocity = field(x, (1 - t / 1000).expand(len(x)))
            x = scheduler.step(-velocity, t, x).prev_sample
        return x

    ways = {
        "midpoint": lambda: solver.solve(Problem(field, x0, path=path)).x,
        "diffusers": pipeline,
        "network": lambda: [field(x0, torch.full((64,), 0.5)) for _ in range(16)],
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    operations = {}
    with torch.no_grad():
        for name, way in ways.items():
            with Waits() as counted:
                way()
            operations[name] = counted.operations
        for _ in range(repeats):
            for name, way in ways.items():
                start = time.process_time()
                way()
                spent[name].append(time.process_time() - start)
    seconds = {name: statistics.median(times) for name, times in spent.items()}
    return {
        "seconds": seconds,
        "operations": operations,
        "ratio": seconds["midpoint"] / seconds["diffusers"],
    }


def stiff_on_vp() -> dict[str, Any]:
    path = create("path", "vp")
    field = stiff_mixture(path)
    x0 = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem(field, x0, path=path)
    reference = create("solver", "dopri8", rtol=1e-12, atol=1e-12).solve(problem).x
    table: dict[str, Any] = {}
    for name in ("dopri5", "tsit5", "torchdiffeq:dopri5"):
        for coupling in ("per_sample", "batch_max", "batch_rms"):
            options = {} if ":" in name else {"step_control": coupling}
            solution = create("solver", name, rtol=1e-5, atol=1e-5, **options).solve(problem)
            table[f"{name} {coupling}" if options else name] = {
                "calls": solution.stats.calls,
                "evaluations_per_sample": float(solution.stats.nfe.double().mean()),
                "max_error": float((solution.x - reference).abs().max()),
                "statuses": sorted(set(solution.status.tolist())),
            }
    return table | {"torchdiffeq dopri5, as it comes": unguarded(field, x0, reference)}


def unguarded(field: Any, x0: Tensor, reference: Tensor) -> dict[str, Any]:
    """Return the result of torchdiffeq without step_t and first_step, on the path's interval."""
    seen: list[float] = []

    def velocity(t: Tensor, x: Tensor) -> Tensor:
        seen.append(float(t))
        return field(x, t.expand(len(x)))

    times = torch.tensor([0.0, field.path.t_max], dtype=torch.float64)
    try:
        x = odeint(velocity, x0, times, rtol=1e-5, atol=1e-5, method="dopri5")[-1]
        error: float | str = float((x - reference).abs().max())
    except AssertionError as stopped:
        error = f"AssertionError: {stopped}"
    return {"calls": len(seen), "latest_time": max(seen), "max_error": error}


def refill() -> dict[str, Any]:
    path = create("path", "linear")
    x0 = torch.randn(8192, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table: dict[str, Any] = {}
    for mixture in (eight_gaussians, stiff_mixture):
        problem = Problem(mixture(path), x0, path=path)
        for poll in (1, 2, 4):
            solution = create("solver", "dopri5", max_active=256, sync_every=poll).solve(problem)
            ideal = int(solution.stats.nfe.sum())
            table[f"{mixture.__name__}, poll {poll}"] = solution.stats.extra["evaluations"] / ideal
        plain = sum(
            create("solver", "dopri5", compact_finished=False)
            .solve(Problem(problem.field, part, path=path))
            .stats.extra["evaluations"]
            for part in x0.split(256)
        )
        table[f"{mixture.__name__}, plain batches"] = plain / ideal
    return table


def density(repeats: int) -> dict[str, Any]:
    """Time exact log p of 2-D points by midpoint, 40 evaluations, with checkerboard's network."""
    torch.manual_seed(0)
    sizes = [3, 128, 128, 128, 128]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    network = nn.Sequential(*layers, nn.Linear(128, 2))

    def field(x: Tensor, t: Tensor) -> Tensor:
        return network(torch.cat([x, t[:, None].expand(-1, 1)], 1))

    x1 = torch.randn(2048, 2)
    path, solver = create("path", "linear"), create("solver", "midpoint", nfe=40)
    spent: dict[str, list[float]] = {"ours": [], "every stage": []}
    for _ in range(repeats):
        start = time.process_time()
        found = log_prob(field, x1, path=path, solver=solver).log_prob
        spent["ours"].append(time.process_time() - start)
        start = time.process_time()
        wanted = straightforward(field, x1, 20)
        spent["every stage"].append(time.process_time() - start)
    seconds = {name: statistics.median(times) for name, times in spent.items()}
    return seconds | {
        "ratio": seconds["ours"] / seconds["every stage"],
        "largest_difference": float((found - wanted).abs().max()),
    }


def straightforward(field: Field, x: Tensor, steps: int) -> Tensor:
    """Return log p by midpoint on (x, log det), with the divergence at every stage.

    The reference for `log_prob`, which needs the divergence at one stage only.
    """

    def both(x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            u = field(x, x.new_full((len(x),), t))
            rows = [
                torch.autograd.grad(u[:, i].sum(), x, create_graph=True)[0][:, i] for i in (0, 1)
            ]
        return u.detach(), sum(rows).detach()

    logdet, h = x.new_zeros(len(x)), -1 / steps
    for step in range(steps):
        t = 1 + step * h
        u, _ = both(x, t)
        u, divergence = both(x + h / 2 * u, t + h / 2)
        x, logdet = x + h * u, logdet + h * divergence
    normal = -0.5 * x.square().sum(1) - math.log(2 * math.pi)
    return normal + logdet


def few_steps() -> dict[str, float]:
    """Return RMS errors of 16 evaluations on eight Gaussians, on the better of two grids."""
    path = create("path", "vp")
    x0 = torch.randn(96, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem(eight_gaussians(path), x0, path=path)
    reference = create("solver", "dopri8", rtol=1e-12, atol=1e-12).solve(problem).x

    def error(name: str, grid: str) -> float:
        x = create("solver", name, nfe=16, grid=grid).solve(problem).x
        return float((x - reference).square().mean().sqrt())

    names = (
        "euler",
        "midpoint",
        "heun2",
        "ralston2",
        "heun3",
        "rk4",
        "rk4_38",
        "dpmpp_2m",
        "unipc",
    )
    return {name: min(error(name, grid) for grid in ("uniform", "lambda")) for name in names}


def report(results: dict[str, Any]) -> None:
    for shape, rows in results["outside_the_model"].items():
        print(f"\noutside the model, {shape}: us/NFE, operations/NFE, waits")
        for name, row in rows.items():
            numbers = f"{row['us_per_nfe']:8.1f} {row['operations_per_nfe']:6.2f} {row['waits']:5d}"
            print(f"  {name:24s} {numbers}")
        small = {name: row["us_per_nfe"] for name, row in rows.items()}
        for name in ("euler", "midpoint", "rk4"):
            print(f"  {name} / torchdiffeq's: {small[name] / small[f'torchdiffeq {name}']:.2f}")
        for coupling in ("batch_rms", "per_sample"):
            share = small[f"dopri5 {coupling}"] / small["torchdiffeq dopri5"]
            print(f"  dopri5 {coupling} / torchdiffeq's: {share:.2f}")
        rivals = [us for name, us in small.items() if name.startswith("torchode")]
        if rivals:
            share = small["dopri5 per_sample"] / min(rivals)
            print(f"  dopri5 sample / torchode's fastest: {share:.2f}")
    for part in ("stiff_mixture_on_vp", "refill", "log_prob", "few_steps_on_vp"):
        print(f"\n{part}")
        for name, value in results[part].items():
            print(f"  {name:32s} {value}")


if __name__ == "__main__":
    main()
