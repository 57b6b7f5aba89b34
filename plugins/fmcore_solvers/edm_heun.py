"""Heun's method in EDM's variables: dy/dv = ehat, with y = x/alpha and the noise level
v = sigma/alpha.

Notation as in `ddim`.  Source: Karras et al., arXiv 2206.00364, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import AutoGrid, FixedSolver, LinearExpr, PlanBuilder
from fmcore_solvers.ddim import ddim_step

__all__ = ["EDMHeun"]


@final
@dataclass(frozen=True)
class EDMHeun(FixedSolver):
    """Order 2, two evaluations a step and one for the last, which is Euler's: 2 N - 1 evaluations
    for N steps.

    A step that starts or ends at an infinite lam is Euler's too; in these variables that is DDIM's.
    """

    order = 2
    nfe_per_step = 2
    needs_path: ClassVar[bool] = True
    default_grid: ClassVar[AutoGrid] = "lambda on curved paths"

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            here, there = plan.at(s), plan.at(t)
            ehat = plan.noise(x, s)
            x = ddim_step(plan, x, s, t)
            if t != grid[-1] and here.finite and there.finite:
                dv = there.sigma / there.alpha - here.sigma / here.alpha
                x = x + there.alpha * dv / 2 * (plan.noise(x, t) - ehat)
            yield x
