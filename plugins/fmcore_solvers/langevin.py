"""The SDE of a flow with g = noise * sigma, by Euler's and by Heun's method.

The score is -x0hat / sigma, so the drift u + g^2 score / 2 is u - noise^2 sigma x0hat / 2, finite
wherever u is.  Source: Ma et al. (SiT), arXiv 2401.08740, eq. 4-6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import LinearExpr, PlanBuilder, StochasticSolver

__all__ = ["EulerMaruyama", "SDEHeun"]


@final
@dataclass(frozen=True)
class EulerMaruyama(StochasticSolver):
    """Order 1, one evaluation a step, with g = noise * sigma; Euler's method at noise=0.

    Source: Maruyama 1955.
    """

    order = 1

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            if self.noise == 0 or t == grid[-1]:
                x = x + (t - s) * plan.velocity(x, s)
            else:
                z, g = plan.fresh(), self.noise * plan.at(s).sigma
                x = x + (t - s) * drift(plan, x, s, self.noise) + g * math.sqrt(t - s) * z
            yield x


@final
@dataclass(frozen=True)
class SDEHeun(StochasticSolver):
    """Order 2, two evaluations a step, with g = noise * sigma; Heun's method at noise=0.

    Both stages use the same noise, whose variance is that of the whole step.
    """

    order = 2
    nfe_per_step = 2

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            noise = 0.0 if t == grid[-1] else self.noise
            kick = LinearExpr({})
            if noise > 0:
                z = plan.fresh()
                g = noise * math.hypot(plan.at(s).sigma, plan.at(t).sigma) / math.sqrt(2)
                kick = g * math.sqrt(t - s) * z
            first = drift(plan, x, s, noise)
            second = drift(plan, x + (t - s) * first + kick, t, noise)
            x = x + (t - s) / 2 * (first + second) + kick
            yield x


def drift(plan: PlanBuilder, x: LinearExpr, t: float, noise: float) -> LinearExpr:
    """Return u + g^2 score / 2 at (x, t), from one evaluation."""
    u = plan.velocity(x, t)
    if noise == 0:
        return u
    return u - noise**2 / 2 * plan.at(t).sigma * plan.noise(x, t)
