"""States at times within a step, from the stages that the step computes anyway.

x(t + theta h) = x + h sum_i b_i(theta) k_i with b_i(theta) = sum_d weights[i, d] theta^(d + 1).

The polynomials meet the order conditions sum_i b_i(theta) phi_i(tree) = theta^size / gamma up to
the highest order that the stages allow, and reproduce the state and the velocity at both ends of
the step.  Remaining freedom minimizes the residual of the conditions of the next order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmcore.interfaces.tensors import as_rows
from fmcore.solving.evaluation import device_tensor
from fmcore.solving.rooted_trees import gamma, trees
from fmcore.solving.tableau import Tableau

__all__ = ["dense_order", "dense_states", "dense_weights"]

Array = NDArray[np.float64]

RANK_RTOL = 1e-12  # smaller singular values, relative to the largest, are rounding errors
RESIDUAL_ATOL = 1e-9  # a larger residual means that the conditions contradict each other


def dense_states(
    tableau: Tableau, x: Tensor, k: Sequence[Tensor], length: Tensor, theta: Tensor
) -> Tensor:
    """Return the states at fractions `theta` of a step, `(batch, times, *shape)`.

    `x` is the state at the step's start, `k` the velocities of all stages of `tableau` (one with
    `fsal`), each `(batch, *shape)`.  `length` is the signed length of the step, `(batch,)` or
    `(1,)`, and `theta` has shape `(batch, times)` or `(1, times)`; both have x's dtype.
    """
    weights = device_tensor(dense_weights(tableau), x.dtype, x.device)
    exponents = torch.arange(1, weights.shape[1] + 1, device=x.device)
    b = (theta.unsqueeze(2) ** exponents @ weights.T).expand(len(x), -1, -1)
    moved = b @ torch.stack([as_rows(velocity) for velocity in k], 1)
    moved = length.view(-1, 1, 1) * moved
    return x.unsqueeze(1) + moved.view(len(x), -1, *x.shape[1:])


def dense_weights(tableau: Tableau) -> Array:
    """Return `weights`, `(stages, degree)`, of a tableau whose last stage is the velocity at the
    end of the step (`fsal`).
    """
    return _solved(tableau)[1]


def dense_order(tableau: Tableau) -> int:
    """Return the order of the states within a step."""
    return _solved(tableau)[0]


@lru_cache(maxsize=32)
def _solved(tableau: Tableau) -> tuple[int, Array]:
    # Beyond order 6, the number of trees grows faster than any pair here could satisfy.
    for order in range(min(tableau.order, 6), 0, -1):
        # A cubic can meet state and velocity at both ends, so that x(t) is continuously
        # differentiable.
        degree = max(order + 1, 3)
        matrix, right = _conditions(tableau, range(1, order + 1), degree)
        ends, at_ends = _end_conditions(tableau, degree)
        matrix, right = np.concatenate([matrix, ends]), np.concatenate([right, at_ends])
        weights = np.linalg.lstsq(matrix, right, rcond=RANK_RTOL)[0].astype(np.float64)
        if np.abs(matrix @ weights - right).max() < RESIDUAL_ATOL:
            weights = _refined(weights, matrix, *_conditions(tableau, [order + 1], degree))
            return order, weights.reshape(tableau.stages, degree)
    # Order 1 and degree 3 always have a solution: the cubic Hermite polynomial of both ends.
    raise ArithmeticError("the conditions of dense output have no solution")


def _refined(weights: Array, matrix: Array, next_matrix: Array, next_right: Array) -> Array:
    """Return the solution of `matrix` with the least residual in the conditions of the next
    order.
    """
    _, singular, rows = np.linalg.svd(matrix)
    free = rows[int((singular > RANK_RTOL * singular[0]).sum()) :].T
    rest = next_right - next_matrix @ weights
    change = np.linalg.lstsq(next_matrix @ free, rest, rcond=RANK_RTOL)[0]
    return np.asarray(weights + free @ change, np.float64)


def _conditions(tableau: Tableau, orders: Iterable[int], degree: int) -> tuple[Array, Array]:
    """Return the order conditions, one linear equation a row over the weights in row-major
    order.
    """
    powers = np.arange(1, degree + 1)
    left, right = [], []
    for n in orders:
        for tree in trees(n):
            for power in powers:
                left.append(np.outer(tableau.phi(tree), powers == power).ravel())
                right.append(float(power == n) / gamma(tree))
    return np.array(left, np.float64), np.array(right)


def _end_conditions(tableau: Tableau, degree: int) -> tuple[Array, Array]:
    """Return the conditions b_i(1) = b_i, and that the slope is the first stage at theta = 0 and
    the last at theta = 1.
    """
    powers = np.arange(1, degree + 1)
    stages = np.eye(tableau.stages)
    left = [np.outer(i, row).ravel() for row in (powers**0, powers == 1, powers) for i in stages]
    b = np.array([float(weight) for weight in tableau.b])
    return np.array(left, np.float64), np.concatenate([b, stages[0], stages[-1]])
