"""EDM's stochastic sampler: each step adds noise, then removes more than it added."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import AutoGrid, LinearExpr, PlanBuilder, StochasticSolver
from fmcore_solvers.ddim import ddim_step

__all__ = ["EDMChurn"]

MOST_GROWTH = math.sqrt(2) - 1
"""The largest relative increase of the noise level in a step: the added noise is then as large as
the noise already present.  Source: algorithm 2."""


@final
@dataclass(frozen=True)
class EDMChurn(StochasticSolver):
    """Order 2, two evaluations a step and one for the last: `edm_heun` at noise=0.

    Each step first multiplies the noise level sigma/alpha by 1 + min(noise / steps, sqrt(2) - 1),
    at most up to the level at t0; `noise` is the paper's S_churn.  Source: Karras et al.,
    arXiv 2206.00364, algorithm 2, in terms of alpha and sigma.
    """

    order = 2
    nfe_per_step = 2
    default_grid: ClassVar[AutoGrid] = "lambda on curved paths"

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        growth = min(self.noise / (len(grid) - 1), MOST_GROWTH) if len(grid) > 1 else 0.0
        raised = iter(self._raised(plan, grid, growth))
        for s, t in pairwise(grid):
            there = plan.at(t)
            if growth > 0 and t != grid[-1] and plan.at(s).finite:
                x, s = _raise_noise(plan, x, s, next(raised))
            here, x0hat = plan.at(s), plan.noise(x, s)
            x = ddim_step(plan, x, s, t)
            if t != grid[-1] and here.finite and there.finite:
                dv = there.sigma / there.alpha - here.sigma / here.alpha
                x = x + there.alpha * dv / 2 * (plan.noise(x, t) - x0hat)
            yield x

    def _raised(self, plan: PlanBuilder, grid: NDArray[np.float64], growth: float) -> list[float]:
        """Return the time of the raised noise level for each step that adds noise."""
        if growth == 0:
            return []
        lams = [plan.at(t).lam - math.log1p(growth) for t in grid[:-2] if plan.at(t).finite]
        return [max(t, float(grid[0])) for t in plan.times_of(lams)] if lams else []


def _raise_noise(
    plan: PlanBuilder, x: LinearExpr, s: float, earlier: float
) -> tuple[LinearExpr, float]:
    """Add noise to x at s so that its distribution is the marginal at the earlier time."""
    here, there = plan.at(s), plan.at(earlier)
    z, scale = plan.fresh(), there.alpha / here.alpha
    added = math.sqrt(max(0.0, there.sigma**2 - (scale * here.sigma) ** 2))
    return scale * x + added * z, earlier
