"""DDIM, the first-order exponential integrator of an affine path; the others correct its step.

Notation: xhat the x1 prediction, ehat the x0 prediction, lam = log(alpha/sigma), h = lam_t - lam_s,
B = exp(-h) - 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import FixedSolver, LinearExpr, PlanBuilder

__all__ = ["DDIM", "ddim_step"]


@final
@dataclass(frozen=True)
class DDIM(FixedSolver):
    """Order 1, one evaluation a step: exact if the prediction of x1 is constant along the step.

    Source: Song, Meng, Ermon, arXiv 2010.02502, eq. 12 without noise.
    """

    order = 1
    needs_path: ClassVar[bool] = True

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            x = ddim_step(plan, x, s, t)
            yield x


def ddim_step(plan: PlanBuilder, x: LinearExpr, s: float, t: float) -> LinearExpr:
    """Return the state at t from x at s, with the x1 and x0 predictions at s.

    For finite lam this is (sigma_t/sigma_s) x - alpha_t B xhat; this form also holds where alpha_s,
    sigma_s or sigma_t is zero.
    """
    end = plan.at(t)
    return end.alpha * plan.data(x, s) + end.sigma * plan.noise(x, s)
