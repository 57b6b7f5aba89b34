"""Ancestral sampling: each step samples the posterior of x_t given x_s and the predicted x1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, final

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from fmcore.solving import LinearExpr, PlanBuilder, StochasticSolver
from fmcore_solvers.ddim import ddim_step

__all__ = ["Ancestral"]


@final
@dataclass(frozen=True)
class Ancestral(StochasticSolver):
    """Order 1, one evaluation a step: DDIM at noise=0, DDPM's sampler at noise=1.

    The share w of the noise in x_t is fresh: w^2 = noise^2 (1 - exp(-2h)), with h the step in
    lam = log(alpha/sigma).  Source: Song, Meng, Ermon, arXiv 2010.02502, eq. 12 and 16.
    """

    order = 1
    most_noise: ClassVar[float] = 1.0

    noise: Annotated[float, Ge(0), Le(1)] = 1.0

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            if self.noise == 0 or t == grid[-1]:
                x = ddim_step(plan, x, s, t)
            else:
                z, there = plan.fresh(), plan.at(t)
                w = self.noise * math.sqrt(-math.expm1(-2 * (there.lam - plan.at(s).lam)))
                x0hat = math.sqrt(1 - w**2) * plan.noise(x, s) + w * z
                x = there.alpha * plan.data(x, s) + there.sigma * x0hat
            yield x
