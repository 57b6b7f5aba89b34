"""The first-order exponential integrator of an affine path, and the step that the others correct.

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
    """Order 1, one evaluation a step: exact where the prediction of x1 does not change.

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
    """From x at s to t between the two predictions.

    For finite lam this is (sigma_t/sigma_s) x - alpha_t B xhat; written so, it also holds where
    alpha_s, sigma_s or sigma_t is zero.
    """
    end = plan.at(t)
    return end.alpha * plan.data(x, s) + end.sigma * plan.noise(x, s)
