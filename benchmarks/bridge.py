"""Schrödinger bridge flow matching beside torchcfm's SB-CFM: 8 Gaussians to two moons.

    pip install --no-deps torchcfm==1.0.7 pot
    OMP_NUM_THREADS=1 python benchmarks/bridge.py        # about 6 minutes on one core

Both train the same network on the same rows with the same optimizer, for as many steps: fmcore with
path `brownian_bridge` and coupling `minibatch_ot`, torchcfm with
`SchrodingerBridgeConditionalFlowMatcher`; each with the exact and with the entropic plan at
regularization 2 sigma^2.  Measured on fresh points: the exact 2-Wasserstein distance to the data
(POT), and the path energy, the mean of the integral of |u|^2 along the flow, with its excess over
the squared distance of the two distributions, relative to it.  Writes results/bridge.json.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import ot
import torch
from machine import machine
from torch import Tensor, nn
from torchcfm.conditional_flow_matching import SchrodingerBridgeConditionalFlowMatcher

import fmcore
from fmcore.interfaces.path import Path as FlowPath

SIGMA = 1.0  # torchcfm's default
SEEDS = (0, 1)
BATCH, POINTS, GRID = 256, 2048, 100
STEPS = {"exact": 2000, "sinkhorn": 500}
"""The training steps by plan: an entropic plan in the log domain costs fmcore 0.2 s a batch."""

Draw = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor, Tensor]]
"""From rows of x0 and x1 the times, points and velocities to regress on."""


def eight_gaussians(n: int, generator: torch.Generator) -> Tensor:
    """Return `n` points of eight Gaussians of variance 0.1 on a circle of radius 5."""
    angle = torch.randint(8, (n,), generator=generator) * (math.pi / 4)
    centre = 5 * torch.stack([angle.cos(), angle.sin()], 1)
    return centre + math.sqrt(0.1) * torch.randn(n, 2, generator=generator)


def two_moons(n: int, generator: torch.Generator) -> Tensor:
    """Return `n` points of two half circles of radius 3 with noise of 0.6, centred near 0."""
    angle = math.pi * torch.rand(n, generator=generator)
    lower = torch.randint(2, (n,), generator=generator).bool()
    x = torch.where(lower, 1 - angle.cos(), angle.cos())
    y = torch.where(lower, 0.5 - angle.sin(), angle.sin())
    points = torch.stack([x, y], 1) + 0.2 * torch.randn(n, 2, generator=generator)
    return 3 * points - 1


def ours(method: str) -> tuple[Draw, FlowPath]:
    path = fmcore.create("path", "brownian_bridge", sigma=SIGMA)
    g = torch.Generator().manual_seed(1)
    x0, x1 = eight_gaussians(POINTS, g), two_moons(POINTS, g)
    # fmcore counts in the mean cost of a pair, torchcfm in squared length
    share = 2 * SIGMA**2 / float(torch.cdist(x0, x1).square().mean())
    coupling = fmcore.create("coupling", "minibatch_ot", method=method, regularization=share)

    def draw(x0: Tensor, x1: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        paired = coupling.pair(x0, x1, g)
        t = path.t_min + (path.t_max - path.t_min) * torch.rand(len(x0), generator=g)
        z = torch.randn(x0.shape, generator=g)
        at = path.sample(paired.x0, paired.x1, t, z)
        return t, at.xt, at.ut

    return draw, path


def theirs(method: str) -> tuple[Draw, None]:
    matcher = SchrodingerBridgeConditionalFlowMatcher(sigma=SIGMA, ot_method=method)

    def draw(x0: Tensor, x1: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        t, xt, ut = matcher.sample_location_and_conditional_flow(x0, x1)
        return t, xt, ut

    return draw, None


def trained(draw: Draw, seed: int, steps: int) -> nn.Module:
    torch.manual_seed(seed)
    model: nn.Module = fmcore.create("model", "mlp", shape=(2,), width=64, depth=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    rows, numbers = (torch.Generator().manual_seed(seed + k) for k in (100, 200))
    for step in range(steps):
        x0, x1 = eight_gaussians(BATCH, rows), two_moons(BATCH, rows)
        t, xt, ut = draw(x0, x1, numbers)
        loss = (model(xt, t) - ut).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 + math.cos(math.pi * (step + 1) / steps))
    return model.eval()


def w2(a: Tensor, b: Tensor) -> float:
    """Return the exact 2-Wasserstein distance of two point sets of equal size."""
    cost = torch.cdist(a.double(), b.double()).square().numpy()
    return math.sqrt(ot.emd2(ot.unif(len(a)), ot.unif(len(b)), cost))


@torch.no_grad()
def measured(model: nn.Module, path: FlowPath | None, static: float) -> dict[str, float]:
    """Return W2 to the data and the path energy of the flow from POINTS points."""
    g = torch.Generator().manual_seed(9)
    x0, data = eight_gaussians(POINTS, g), two_moons(POINTS, g)
    low, high = (0.0, 1.0) if path is None else (path.t_min, path.t_max)
    if path is not None:  # the bridge has moved by t_min already
        x0 = x0 + SIGMA * math.sqrt(low * (1 - low)) * torch.randn(x0.shape, generator=g)
    grid = torch.linspace(low, high, GRID + 1, dtype=torch.float64).tolist()
    solver = fmcore.create("solver", "rk4", steps=GRID)
    solution = solver.solve(fmcore.Problem(field=model, x0=x0, t0=low, t1=high, times=tuple(grid)))
    speeds = [
        float(model(x, torch.full((POINTS,), t)).square().sum(1).mean())
        for x, t in zip(solution.trajectory, grid, strict=True)
    ]
    energy = float(torch.trapezoid(torch.tensor(speeds), torch.tensor(grid)))
    return {
        "w2": w2(solution.x, data),
        "path_energy": energy,
        "excess_energy": (energy - static) / static,
    }


def main() -> None:
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(5)
    static = w2(eight_gaussians(POINTS, g), two_moons(POINTS, g)) ** 2
    floor = w2(two_moons(POINTS, g), two_moons(POINTS, g))
    print(f"floor of W2 {floor:.3f}, squared distance of the two distributions {static:.2f}")
    rows = []
    for method, steps in STEPS.items():
        for who, build in (("fmcore", ours), ("torchcfm", theirs)):
            for seed in SEEDS:
                draw, path = build(method)
                began = time.process_time()
                model = trained(draw, seed, steps)
                seconds = time.process_time() - began
                found = measured(model, path, static)
                rows.append(
                    {"by": who, "plan": method, "seed": seed, "train_cpu_seconds": seconds, **found}
                )
                print(json.dumps(rows[-1]), flush=True)
    result = {
        "machine": machine(),
        "settings": {"sigma": SIGMA, "steps": STEPS, "batch": BATCH, "points": POINTS},
        "floor_w2": floor,
        "squared_distance": static,
        "rows": rows,
    }
    file = Path(__file__).parent / "results" / "bridge.json"
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
