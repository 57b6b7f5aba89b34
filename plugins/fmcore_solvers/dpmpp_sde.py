"""SDE-DPM-Solver++: the exponential integrator of the SDE with g^2 = noise^2 * 2 sigma^2 dlam/dt.

In lam that SDE is linear except for xhat: over a step h, with e = noise^2, the state decays by
(sigma_t/sigma_s) exp(-e h), xhat enters with alpha_t (1 - exp(-(1 + e) h)), and noise of variance
sigma_t^2 (1 - exp(-2 e h)) is added.  Notation as in `ddim`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import AutoGrid, LinearExpr, PlanBuilder, Point, StochasticSolver
from fmcore_solvers.ddim import ddim_step
from fmcore_solvers.history import History

__all__ = ["DPMpp2MSDE"]


@final
@dataclass(frozen=True)
class DPMpp2MSDE(StochasticSolver):
    """Order 2 in the prediction, one evaluation a step: `dpmpp_2m` at noise=0, the reverse
    diffusion at noise=1.

    A step that starts or ends at an infinite lam is DDIM's.  Source: Lu et al., arXiv 2211.01095,
    section 4.2 and appendix E, for noise=1.
    """

    order = 2
    default_grid: ClassVar[AutoGrid] = "lambda on curved paths"

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        history = History(depth=2)
        for s, t in pairwise(grid):
            here, there = plan.at(s), plan.at(t)
            xhat = plan.data(x, s)
            history.add(here, xhat)
            if here.finite and there.finite:
                noise = 0.0 if t == grid[-1] else self.noise
                x = self._step(plan, x, here, there, xhat, history, noise)
            else:
                x = ddim_step(plan, x, s, t)
            yield x

    def _step(
        self,
        plan: PlanBuilder,
        x: LinearExpr,
        here: Point,
        there: Point,
        xhat: LinearExpr,
        history: History,
        noise: float,
    ) -> LinearExpr:
        h, e = there.lam - here.lam, noise**2
        for lam, before in history.usable(h):
            xhat = xhat + h / 2 * (xhat - before) / (here.lam - lam)
        decay = there.sigma / here.sigma * math.exp(-e * h)
        x = decay * x - there.alpha * math.expm1(-(1 + e) * h) * xhat
        if noise == 0:
            return x
        z = plan.fresh()
        return x + there.sigma * math.sqrt(-math.expm1(-2 * e * h)) * z
