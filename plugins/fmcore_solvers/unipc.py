"""UniPC: a multistep predictor, corrected with the evaluation that the next step reuses.

Notation as in `ddim`.  Source: Zhao et al., arXiv 2302.04867, algorithms 5 and 6 (prediction of
x1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, final

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from fmcore.solving import AutoGrid, FixedSolver, LinearExpr, PlanBuilder, Point
from fmcore_solvers.ddim import ddim_step
from fmcore_solvers.history import History
from fmcore_solvers.phi import phi

__all__ = ["UniPC"]


@final
@dataclass(frozen=True)
class UniPC(FixedSolver):
    """Steps of order `p`, raised by one by the corrector, one evaluation a step: N steps cost N
    evaluations; the last step is not corrected.

    `variant` is the paper's choice of B(h): `bh2` is exp(-h) - 1, `bh1` is -h.  Without the
    `corrector` and with p = 2, `bh2` is DPM-Solver++(2M).  The order of a step drops as in
    `dpmpp_2m`.  With p = 3 the first steps have lower order, as in the paper, so that on even steps
    in lam the global error has the order of p = 2.
    """

    needs_path: ClassVar[bool] = True
    default_grid: ClassVar[AutoGrid] = "lambda on curved paths"

    p: Annotated[int, Ge(1), Le(3)] = 2
    variant: Literal["bh1", "bh2"] = "bh2"
    corrector: bool = True

    @property
    def order(self) -> int:  # type: ignore[override]  # depends on the options
        return min(self.p, 2) + self.corrector  # the start limits p = 3

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = seen = plan.start  # `seen` is the state at the field's last evaluation
        history = History(depth=self.p)
        for s, t in pairwise(grid):
            here, there = plan.at(s), plan.at(t)
            xhat = plan.data(seen, s)
            plan.keep(xhat)
            history.add(here, xhat)
            if not (here.finite and there.finite):
                x = seen = (
                    ddim_step(plan, seen, s, t) if x is seen else _ddim_from(x, xhat, here, there)
                )
                yield x
                continue
            h = there.lam - here.lam
            behind = [((lam - here.lam) / h, past) for lam, past in history.usable(h)]
            differences = [(r, (past - xhat) / r) for r, past in behind]
            base = _ddim_from(x, xhat, here, there)
            scale = -there.alpha * self._b(h)
            seen = base + scale * self._weighted(h, differences)
            if self.corrector and t != grid[-1]:
                ahead = (1.0, plan.data(seen, t) - xhat)
                x = base + scale * self._weighted(h, [*differences, ahead])
            else:
                x = seen
            yield x

    def _b(self, h: float) -> float:
        return math.expm1(-h) if self.variant == "bh2" else -h

    def _weighted(self, h: float, differences: list[tuple[float, LinearExpr]]) -> LinearExpr:
        """Return sum_i rho_i D_i, where sum_i rho_i r_i^(k-1) = k! g_k / B(h) for k = 1, 2, ...;
        for one D the paper sets rho = 1/2.
        """
        n = len(differences)
        if n == 1:
            return 0.5 * differences[0][1]
        r = np.array([at for at, _ in differences])
        g = [-h * phi(k + 1, -h) * math.factorial(k) / self._b(h) for k in range(1, n + 1)]
        rho = np.linalg.solve(np.vander(r, n, increasing=True).T, g) if n else r
        return sum((w * d for w, (_, d) in zip(rho, differences, strict=True)), LinearExpr({}))


def _ddim_from(x: LinearExpr, xhat: LinearExpr, here: Point, there: Point) -> LinearExpr:
    """Return DDIM's step from x with another state's prediction: (sigma_t/sigma_s) x - alpha_t B
    xhat.
    """
    ratio = there.sigma / here.sigma
    return ratio * x + (there.alpha - here.alpha * ratio) * xhat
