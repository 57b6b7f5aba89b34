"""Adams-Bashforth methods on any grid: past velocities are extrapolated over the next step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import FixedSolver, LinearExpr, PlanBuilder

__all__ = ["AB2", "AB3", "AdamsBashforth"]


@dataclass(frozen=True)
class AdamsBashforth(FixedSolver):
    """Integrates the polynomial through the last `order` velocities.

    The error of a single first step enters the result once, so it must be of the size of the global
    error: Euler's step, of size h^2, is enough for order 2; order 3 starts with a step of Heun's
    method, of size h^3, which costs one more evaluation.
    Source: Hairer, Nørsett and Wanner 1993, "Solving Ordinary Differential Equations I", III.1.
    """

    nfe_per_step = 1

    @final
    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        past: list[tuple[float, LinearExpr]] = []
        for s, t in pairwise(grid):
            past = [(s, plan.velocity(x, s)), *past][: self.order]
            if self.order > 2 and len(past) == 1:
                x = _heun_step(plan, x, past[0][1], s, t)
            else:
                weights = integrals_of_lagrange([time for time, _ in past], s, t)
                x = x + sum(
                    (w * u for w, (_, u) in zip(weights, past, strict=True)), LinearExpr({})
                )
            yield x


@final
@dataclass(frozen=True)
class AB2(AdamsBashforth):
    """Order 2, one evaluation a step."""

    order = 2


@final
@dataclass(frozen=True)
class AB3(AdamsBashforth):
    """Order 3, one evaluation a step, and one more for the first step."""

    order = 3


def _heun_step(plan: PlanBuilder, x: LinearExpr, k: LinearExpr, s: float, t: float) -> LinearExpr:
    """Return the state at t by Heun's method of order 2, from x at s with velocity k."""
    return x + (t - s) / 2 * (k + plan.velocity(x + (t - s) * k, t))


def integrals_of_lagrange(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Return the integral over [start, end] of each Lagrange polynomial of `nodes`."""
    length = end - start
    weights = []
    for node in nodes:  # in units of the step, which keeps the coefficients near 1
        others = [(other - start) / length for other in nodes if other != node]
        scaled = (node - start) / length
        polynomial = np.poly1d(others, r=True) / np.prod([scaled - other for other in others])
        weights.append(length * float(polynomial.integ()(1.0)))
    return weights
