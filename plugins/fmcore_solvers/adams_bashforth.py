"""Adams-Bashforth methods on any grid: past velocities extrapolated, one new one a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving import FixedSolver, LinearExpr, PlanBuilder

__all__ = ["AB2", "AB3", "AdamsBashforth"]


@dataclass(frozen=True)
class AdamsBashforth(FixedSolver):
    """The velocity is taken to be the polynomial through its last `order` values.

    The first steps have fewer values and a lower order.
    """

    nfe_per_step = 1

    @final
    def trace(self, plan: PlanBuilder, grid: NDArray[np.float64]) -> Iterator[LinearExpr]:
        x = plan.start
        past: list[tuple[float, LinearExpr]] = []
        for s, t in pairwise(grid):
            past = [(s, plan.velocity(x, s)), *past][: self.order]
            weights = integrals_of_lagrange([time for time, _ in past], s, t)
            x = x + sum((w * u for w, (_, u) in zip(weights, past, strict=True)), LinearExpr({}))
            yield x


@final
@dataclass(frozen=True)
class AB2(AdamsBashforth):
    """Order 2, one evaluation a step."""

    order = 2


@final
@dataclass(frozen=True)
class AB3(AdamsBashforth):
    """Order 3, one evaluation a step."""

    order = 3


def integrals_of_lagrange(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """The integral over [start, end] of each Lagrange polynomial of `nodes`."""
    length = end - start
    weights = []
    for node in nodes:  # in the variable (time - start) / length, where nothing is large
        others = [(other - start) / length for other in nodes if other != node]
        scaled = (node - start) / length
        polynomial = np.poly1d(others, r=True) / np.prod([scaled - other for other in others])
        weights.append(length * float(polynomial.integ()(1.0)))
    return weights
