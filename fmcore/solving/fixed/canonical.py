"""The canonical form of a plan: each state as a combination of x_0, velocities and noise.

x_k = a_k x_0 + sum_{j<k} b_kj u_j + sum_i n_ki z_i with u_k = u(x_k, t_k) and noise draws z_i, and
the same for the end state.  Two solvers are equal if and only if their canonical forms are.
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
    """`t`, `(n,)`, are the times at which the field is called; `a` is `(n + 1,)`, `b` `(n + 1, n)`
    and `noise` `(n + 1, draws)`, with the end state in the last row.  All are float64.
    """

    t: Array
    a: Array
    b: Array
    noise: Array

    @property
    def weights(self) -> Array:
        """The weight of each velocity in the end state, `(n,)`: also the quadrature weights of any
        function of (x, t) integrated along the solve.
        """
        return np.asarray(self.b[-1])

    def close_to(self, other: Canonical, tolerance: float = 1e-12) -> bool:
        """Return whether both are the same computation, to a relative and absolute `tolerance`."""
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
    """Return the canonical form of `plan`, by substituting its rows into one another."""
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
    # Rows are the states at the calls, then the end.
    return Canonical(np.array(times), table[:, 0], table[:, 1 : n + 1], table[:, n + 1 :])
