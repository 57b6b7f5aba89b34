"""Explicit Runge-Kutta methods on a fixed grid: the tableau is the solver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fmcore.solving.fixed.plan import PlanBuilder
from fmcore.solving.fixed.solver import FixedSolver
from fmcore.solving.fixed.symbolic import LinearExpr
from fmcore.solving.tableau import Tableau

__all__ = ["RungeKutta"]


@dataclass(frozen=True)
class RungeKutta(FixedSolver):
    """A fixed solver whose author gives `tableau`; order and cost follow from it."""

    tableau: ClassVar[Tableau]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "tableau" in vars(cls):
            cls.order, cls.nfe_per_step = cls.tableau.order, cls.tableau.stages

    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        for s, t in pairwise(grid):
            h = t - s
            k: list[LinearExpr] = []
            for row, c in zip(self.tableau.a, self.tableau.c, strict=True):
                k.append(
                    plan.velocity(x + h * _weighted(row, k), t if c == 1 else s + float(c) * h)
                )
            x = x + h * _weighted(self.tableau.b, k)
            yield x


def _weighted(weights: tuple[object, ...], k: list[LinearExpr]) -> LinearExpr:
    return sum((float(w) * v for w, v in zip(weights, k, strict=True)), LinearExpr({}))  # type: ignore[arg-type]
