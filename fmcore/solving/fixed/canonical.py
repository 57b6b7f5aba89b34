"""A plan with its bookkeeping substituted away: two solvers are equal if and only if their
canonical forms are.

x_k = a_k x_0 + sum_{j<k} b_kj u_j + sum_i n_ki z_i,  u_k = u(x_k, t_k), and so for x_end, with the
noise draws z_i of a stochastic solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fmcore.solving.fixed.plan import START, Call, Noise, Plan

__all__ = ["Canonical", "canonical"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Canonical:
    """`t` are the n times at which the field is called; `a` is `(n + 1,)`, `b` `(n + 1, n)` and
    `noise` `(n + 1, draws)`, the end in the last row.
    """

    t: Array
    a: Array
    b: Array
    noise: Array

    @property
    def weights(self) -> Array:
        """The end's weight of each velocity, `(n,)`: also the quadrature weights of anything
        integrated alongside.
        """
        return np.asarray(self.b[-1])

    def close_to(self, other: Canonical, tolerance: float = 1e-12) -> bool:
        """Whether both describe the same computation, to rounding."""
        return self.t.shape == other.t.shape and all(
            mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=tolerance, atol=tolerance)
            for mine, theirs in (
                (self.t, other.t),
                (self.a, other.a),
                (self.b, other.b),
                (self.noise, other.noise),
            )
        )


def canonical(plan: Plan) -> Canonical:
    """Substitute until only x0, velocities and noise remain."""
    n, draws = plan.nfe, {draw: i for i, draw in enumerate(plan.draws)}
    size = 1 + n + len(draws)
    value = {START: np.eye(1, size)[0]}  # each register as weights of (x0, u_0, ..., z_0, ...)
    states, times = [], []
    for row in plan.rows:
        if isinstance(row, Call):
            states.append(value[row.state])
            times.append(row.t)
            value[row.out] = np.eye(1, size, len(times))[0]
        elif isinstance(row, Noise):
            value[row.out] = np.eye(1, size, 1 + n + draws[row.draw])[0]
        else:
            value[row.out] = sum((w * value[r] for r, w in row.weights.items()), np.zeros(size))
    table = np.stack([*states, value[plan.final]])
    return Canonical(np.array(times), table[:, 0], table[:, 1 : n + 1], table[:, n + 1 :])
