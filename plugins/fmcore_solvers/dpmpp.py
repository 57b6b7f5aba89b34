"""DPM-Solver++: exponential integrators of second and third order in the x1 prediction.

With xhat a polynomial in lam, d1 and d2 its derivatives at lam_s, the step is DDIM's plus alpha_t
[h^2 phi_2(-h) d1 + h^3 phi_3(-h) d2].  Notation as in `ddim`.  Source: Lu et al., arXiv 2211.01095.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import AutoGrid, FixedSolver, LinearExpr, PlanBuilder
from fmcore_solvers.ddim import ddim_step
from fmcore_solvers.history import History
from fmcore_solvers.phi import phi

__all__ = ["DPMpp2M", "DPMpp2S", "DPMpp3M", "Multistep"]


@dataclass(frozen=True)
class Multistep(FixedSolver):
    """One evaluation a step: the prediction of x1 is extrapolated from the last `predictions`.

    A step is DDIM's if it starts or ends at an infinite lam, or is more than three times as long as
    the step that it would be extrapolated from.  The first steps have fewer predictions: one of
    order 1 (DDIM) leaves order 2 to the whole solve.
    """

    needs_path: ClassVar[bool] = True
    default_grid: ClassVar[AutoGrid] = "lambda on curved paths"
    order = 2
    predictions: ClassVar[int]

    @final
    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        history = History(depth=self.predictions)
        for s, t in pairwise(grid):
            here, there = plan.at(s), plan.at(t)
            xhat = plan.data(x, s)
            history.add(here, xhat)
            x = ddim_step(plan, x, s, t)
            if here.finite and there.finite:
                h = there.lam - here.lam
                x = x + there.alpha * self.correction(h, (here.lam, xhat), history.usable(h))
            yield x

    @abstractmethod
    def correction(
        self, h: float, now: tuple[float, LinearExpr], before: list[tuple[float, LinearExpr]]
    ) -> LinearExpr:
        """Return what a varying xhat adds to DDIM's step, divided by alpha_t, from (lam, xhat) of
        this step and of the steps `before`, the latest first.
        """


@final
@dataclass(frozen=True)
class DPMpp2M(Multistep):
    """Order 2, one evaluation a step.  Source: algorithm 2 of the paper."""

    predictions = 2

    def correction(
        self, h: float, now: tuple[float, LinearExpr], before: list[tuple[float, LinearExpr]]
    ) -> LinearExpr:
        return _linear_correction(h, now, before[0]) if before else LinearExpr({})


@final
@dataclass(frozen=True)
class DPMpp3M(Multistep):
    """Steps of order 3, one evaluation a step: the quadratic through three predictions, integrated
    exactly.

    The first two steps have orders 1 and 2, as in the paper, so that on even steps in lam the
    global error has order 2; it has order 3 where the grid begins with small steps.  The widely
    used code halves the quadratic term, which makes every step of order 2.
    """

    predictions = 3

    def correction(
        self, h: float, now: tuple[float, LinearExpr], before: list[tuple[float, LinearExpr]]
    ) -> LinearExpr:
        if len(before) < 2:
            return _linear_correction(h, now, before[0]) if before else LinearExpr({})
        (lam0, xhat0), (lam1, xhat1), (lam2, xhat2) = now, *before
        slope01 = (xhat0 - xhat1) / (lam0 - lam1)
        slope12 = (xhat1 - xhat2) / (lam1 - lam2)
        curvature = (slope01 - slope12) / (lam0 - lam2)
        d1 = slope01 + (lam0 - lam1) * curvature
        d2 = 2 * curvature
        return h**2 * phi(2, -h) * d1 + h**3 * phi(3, -h) * d2


def _linear_correction(
    h: float, now: tuple[float, LinearExpr], before: tuple[float, LinearExpr]
) -> LinearExpr:
    """Return -B h/2 times the slope: the paper's choice, h^2 phi_2(-h) to leading order."""
    slope = (now[1] - before[1]) / (now[0] - before[0])
    return -math.expm1(-h) * h / 2 * slope


@final
@dataclass(frozen=True)
class DPMpp2S(FixedSolver):
    """Order 2, two evaluations a step: a step with the prediction at its midpoint in lam.

    A step that starts or ends at an infinite lam is DDIM's, with one evaluation.  Source: algorithm
    1 of the paper with r = 1/2.
    """

    order = 2
    nfe_per_step = 2
    needs_path: ClassVar[bool] = True
    default_grid: ClassVar[AutoGrid] = "lambda on curved paths"

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        lams = np.array([plan.at(t).lam for t in grid])
        middles = iter(plan.times_of(_between_finite(lams)))
        for s, t in pairwise(grid):
            here, there = plan.at(s), plan.at(t)
            if here.finite and there.finite:
                h, m = there.lam - here.lam, next(middles)
                middle = plan.data(ddim_step(plan, x, s, m), m)
                x = (there.sigma / here.sigma) * x - there.alpha * math.expm1(-h) * middle
            else:
                x = ddim_step(plan, x, s, t)
            yield x


def _between_finite(lams: NDArray[np.float64]) -> list[float]:
    """Return the midpoints of neighbours that are both finite."""
    return [
        (a + b) / 2 for a, b in pairwise(lams.tolist()) if math.isfinite(a) and math.isfinite(b)
    ]
