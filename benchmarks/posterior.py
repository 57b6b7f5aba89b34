"""Posterior sampling on a problem with a known posterior: five methods, and azula's.

    OMP_NUM_THREADS=1 python benchmarks/posterior.py [--out FILE] [--nfe 100] [--samples 1000]

Data: 25 Gaussians of standard deviation 1/8 in 16 dimensions, with means on the grid
{-2, ..., 2}^2, repeated (i, j, i, j, ...), and random weights: the mixture of Cardoso et al. 2023
(arXiv 2308.07983), scaled by 1/8.  Measured are two random combinations with noise 0.1.  The field
is the exact one.  The figure is the sliced W2 of the samples to draws of the exact posterior, and
the floor is that of other draws.  With `pip install azula`, its methods get the same denoiser,
measurements and number of evaluations.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor

from fmcore import Field, Problem, VectorField, create
from fmcore.flow.gaussian_mixture import GaussianMixtureField

DIMENSIONS, STD, NOISE = 16, 1 / 8, 0.1
METHODS = {
    "replacement": {},
    "dps": {},
    "pgdm": {},
    "mmps": {"iterations": 2},  # as many as measured numbers
}


class Exact(VectorField):
    """The exact velocity of the mixture."""

    def __init__(self, mixture: GaussianMixtureField) -> None:
        super().__init__()
        self.mixture = mixture

    def forward(self, x: Tensor, t: Tensor, condition: Any = None, *, until: Any = None) -> Tensor:
        return self.mixture(x, t)


def mixture_of(generator: torch.Generator) -> GaussianMixtureField:
    means = [[i, j] * (DIMENSIONS // 2) for i in range(-2, 3) for j in range(-2, 3)]
    weights = torch.rand(25, generator=generator).tolist()
    return GaussianMixtureField(create("path", "linear"), means, [STD] * 25, weights)


def exact_draws(
    mixture: GaussianMixtureField, a: Tensor, y: Tensor, n: int, generator: torch.Generator
) -> Tensor:
    """Return `n` draws of the posterior, a mixture of Gaussians of one covariance."""
    means = torch.tensor(mixture.means, dtype=torch.float64)
    inner = STD**2 * a @ a.T + NOISE**2 * torch.eye(len(y), dtype=torch.float64)
    away = y - means @ a.T
    log = torch.tensor(mixture.weights, dtype=torch.float64).log()
    log = log - 0.5 * (away * torch.linalg.solve(inner, away.T).T).sum(1)
    gain = STD**2 * torch.linalg.solve(inner, a).T
    covariance = STD**2 * (torch.eye(DIMENSIONS, dtype=torch.float64) - gain @ a)
    which = torch.multinomial(log.softmax(0), n, replacement=True, generator=generator)
    noise = torch.randn((n, DIMENSIONS), generator=generator, dtype=torch.float64)
    moved = means + away @ gain.T
    return moved[which] + noise @ torch.linalg.cholesky(covariance).T


def sliced_w2(x: Tensor, y: Tensor, directions: Tensor) -> float:
    """Return the sliced W2 of two samples of equal size; infinite if one is not finite."""
    if not bool(x.isfinite().all()):
        return math.inf
    a, b = ((v @ directions).sort(0).values for v in (x, y))
    return float((a - b).square().mean().sqrt())


def ours(
    mixture: GaussianMixtureField, a: Tensor, y: Tensor, x0: Tensor, nfe: int
) -> dict[str, Any]:
    """Return the functions that draw samples by fmcore's methods."""
    path = create("path", "linear")
    operator = create("operator", "linear", matrix=a.tolist(), noise=NOISE)
    field = Field(Exact(mixture), path, create("objective", "flow_matching"))
    raw = {"measurement": y.expand(len(x0), -1)}

    def guided(name: str) -> Tensor:
        guidance = create("guidance", name, operator=operator, **METHODS[name])
        own = guidance.wrap(field)
        problem = Problem(own, x0, path=path, condition=own.prepare(raw))
        return create("solver", "midpoint", nfe=nfe).solve(problem).x

    def restored() -> Tensor:
        problem = Problem(field, x0, path=path, condition=raw)
        return create("solver", "pnp_flow", nfe=nfe, operator=operator).solve(problem).x

    draws: dict[str, Any] = {name: lambda name=name: guided(name) for name in METHODS}
    return draws | {"pnp_flow": restored}


def theirs(
    mixture: GaussianMixtureField, a: Tensor, y: Tensor, x0: Tensor, nfe: int
) -> dict[str, Callable[[], Tensor]]:
    """Return the same for azula's; empty where it is not installed."""
    try:
        from azula.denoise import Denoiser, DiracPosterior
        from azula.guidance import DPSSampler, MMPSDenoiser, PGDMSampler
        from azula.linalg.covariance import IsotropicCovariance
        from azula.noise import RectifiedSchedule
        from azula.sample import DDIMSampler
    except ImportError as error:
        print(f"azula is not installed ({error}): no comparison")
        return {}

    class Known(Denoiser):  # type: ignore[misc]
        """The exact denoiser; azula's time is 1 - t."""

        schedule = RectifiedSchedule(alpha_min=1e-3, sigma_min=1e-3)

        def forward(self, x: Tensor, t: Tensor, **kwargs: Any) -> Any:
            alpha, sigma = self.schedule(t.to(x))
            # the same point on the straight path, where alpha + sigma = 1
            total = alpha + sigma
            at = (alpha / total).expand(len(x))
            return DiracPosterior(mean=mixture.data(x / total, at))

    inverse = torch.linalg.pinv(a)
    measure, back = (lambda x: x @ a.T), (lambda v: v @ inverse.T)
    known, own = Known(), y.expand(len(x0), -1)
    mmps = MMPSDenoiser(known, own, measure, IsotropicCovariance(NOISE**2), iterations=2)
    options = {"steps": nfe, "silent": True}
    samplers = {
        # its norm is that of the whole batch: sqrt(n) makes it that of one sample
        "azula dps": DPSSampler(known, own, measure, zeta=0.1 * len(x0) ** 0.5, **options),
        "azula pgdm": PGDMSampler(known, own, measure, back, eta=1.0, **options),
        "azula mmps": DDIMSampler(mmps, eta=0.0, **options),
    }
    return {name: lambda sampler=sampler: sampler(x0) for name, sampler in samplers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--nfe", type=int, default=100)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--measurements", type=int, default=5)
    asked = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn((DIMENSIONS, 256), generator=generator, dtype=torch.float64)
    directions = directions / directions.norm(dim=0)
    found: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for _ in range(asked.measurements):
        mixture = mixture_of(generator)
        a = torch.randn((2, DIMENSIONS), generator=generator, dtype=torch.float64) / 4
        truth = mixture.draw(1, generator)[0]
        y = a @ truth + NOISE * torch.randn(2, generator=generator, dtype=torch.float64)
        first, second = (exact_draws(mixture, a, y, asked.samples, generator) for _ in range(2))
        shape = (asked.samples, DIMENSIONS)
        x0 = torch.randn(shape, generator=generator, dtype=torch.float64)
        found.setdefault("floor", []).append(sliced_w2(second, first, directions))
        draws = ours(mixture, a, y, x0, asked.nfe) | theirs(mixture, a, y, x0, asked.nfe)
        for name, draw in draws.items():
            began = time.process_time()
            with torch.no_grad():
                x = draw()
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - began
            found.setdefault(name, []).append(sliced_w2(x, first, directions))
    result = {
        "machine": machine(),
        "settings": {"nfe": asked.nfe, "samples": asked.samples, "noise": NOISE},
        "sliced_w2": {k: {"mean": sum(v) / len(v), "each": v} for k, v in found.items()},
        "cpu_seconds": seconds,
    }
    for name, values in found.items():
        mean = sum(values) / len(values)
        print(f"{name:12}  {mean:.3f}  {min(values):.3f} to {max(values):.3f}")
    if asked.out is not None:
        asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
