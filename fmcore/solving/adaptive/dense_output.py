"""States between steps, from the stages that are there anyway.

x(t + theta h) = x + h sum_i b_i(theta) k_i with b_i(theta) = sum_d weights[i, d] theta^(d+1).  The
polynomials solve the order conditions sum_i b_i(theta) phi_i(tree) = theta^size / gamma to the
highest order that the stages allow, meet the step's end, and leave and arrive with the velocities
there; what then remains free comes as near as it can to the conditions of the next order.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fmcore.solving.rooted_trees import gamma, trees
from fmcore.solving.tableau import Tableau

__all__ = ["dense_order", "dense_weights"]

Array = NDArray[np.float64]

RANK = 1e-12  # singular values below this share of the largest are rounding
SOLVED = 1e-9  # a residual above this means that the conditions contradict each other


def dense_weights(tableau: Tableau) -> Array:
    """`(stages, degree)`, for a tableau whose last stage is the velocity at the step's end
    (`fsal`).
    """
    return _solved(tableau)[1]


def dense_order(tableau: Tableau) -> int:
    """The order of the states in between."""
    return _solved(tableau)[0]


@lru_cache(maxsize=32)
def _solved(tableau: Tableau) -> tuple[int, Array]:
    for order in range(min(tableau.order, 6), 0, -1):
        degree = max(order + 1, 3)
        matrix, right = _conditions(tableau, range(1, order + 1), degree)
        ends, at_ends = _end_conditions(tableau, degree)
        matrix, right = np.concatenate([matrix, ends]), np.concatenate([right, at_ends])
        weights = np.linalg.lstsq(matrix, right, rcond=RANK)[0].astype(np.float64)
        if np.abs(matrix @ weights - right).max() < SOLVED:
            weights = _refined(weights, matrix, *_conditions(tableau, [order + 1], degree))
            return order, weights.reshape(tableau.stages, degree)
    raise ArithmeticError(
        "no continuous weights of any order"
    )  # a cubic through both ends always is


def _refined(weights: Array, matrix: Array, next_matrix: Array, next_right: Array) -> Array:
    """Of all solutions of `matrix`, the one nearest to the conditions of the next order."""
    _, singular, rows = np.linalg.svd(matrix)
    free = rows[int((singular > RANK * singular[0]).sum()) :].T
    rest = next_right - next_matrix @ weights
    change = np.linalg.lstsq(next_matrix @ free, rest, rcond=RANK)[0]
    return np.asarray(weights + free @ change, np.float64)


def _conditions(tableau: Tableau, orders: Iterable[int], degree: int) -> tuple[Array, Array]:
    """The order conditions: one linear equation a row over the weights in row-major order."""
    powers = np.arange(1, degree + 1)
    left, right = [], []
    for n in orders:
        for tree in trees(n):
            for power in powers:
                left.append(np.outer(tableau.phi(tree), powers == power).ravel())
                right.append(float(power == n) / gamma(tree))
    return np.array(left, np.float64), np.array(right)


def _end_conditions(tableau: Tableau, degree: int) -> tuple[Array, Array]:
    """b_i(1) = b_i; the slope is the first stage at theta = 0 and the last at theta = 1."""
    powers = np.arange(1, degree + 1)
    stages = np.eye(tableau.stages)
    left = [np.outer(i, row).ravel() for row in (powers**0, powers == 1, powers) for i in stages]
    b = np.array([float(weight) for weight in tableau.b])
    return np.array(left, np.float64), np.concatenate([b, stages[0], stages[-1]])
