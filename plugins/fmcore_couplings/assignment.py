"""Assignments of rows of x0 to rows of x1: permutations, so no row is dropped or repeated."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fmcore import ComponentError

__all__ = ["cheapest", "entropic"]


SMOOTHING = 0.02
SCALINGS = 30
"""Sinkhorn's regularization, in units of the mean cost, and its number of iterations.

Chosen for the least time together with scipy's search at 1024 rows: 370 -> 66 ms in 2 dimensions,
129 -> 35 ms in 784.
"""


def cheapest(cost: Tensor) -> Tensor:
    """Return the permutation p, int64 `(n,)`, with the least sum of cost[p[j], j].

    For squared distances this is exact optimal transport between two samples of n points.  `cost`
    is `(n, n)` and finite.
    """
    _, column_of_row = linear_sum_assignment(reduced(cost.cpu()).double().numpy())
    return torch.from_numpy(column_of_row).argsort()


def reduced(cost: Tensor) -> Tensor:
    """Return `cost` minus a term per row and a term per column, such that cheap pairs cost about 0.

    The terms add the same constant to the cost of every permutation, so that the best one stays the
    best for any terms; good terms shorten the search.  These are the logarithms of a few iterations
    of Sinkhorn's scalings.
    """
    cost = cost - cost.min(1, keepdim=True).values
    cost = cost - cost.min(0, keepdim=True).values
    smoothing = SMOOTHING * cost.mean().clamp_min(torch.finfo(cost.dtype).tiny)
    kernel = (-cost / smoothing).exp()
    row = torch.ones(len(cost), dtype=cost.dtype)
    for _ in range(SCALINGS):
        column = 1 / (row @ kernel)
        row = 1 / (kernel @ column)
    smooth = cost - smoothing * (row.log()[:, None] + column.log()[None])
    # The scalings overflow for costs of very different sizes; the plain minima then have to do.
    return smooth if smooth.isfinite().all() else cost


def entropic(cost: Tensor, regularization: float, generator: torch.Generator) -> Tensor:
    """Return a random permutation from the entropic transport plan at `regularization`.

    `regularization` is in units of `cost`: 0 gives the exact assignment in the limit, infinity a
    uniform permutation.  The plan is a matrix; the permutation is the one of the largest sum of the
    plan's logarithm plus Gumbel noise, the Gumbel-max trick of a categorical distribution applied
    to a whole assignment.
    """
    n = len(cost)
    cost = cost.double().cpu()
    scale = max(regularization, torch.finfo(torch.float64).tiny)
    log_plan = torch.from_numpy(_log_plan((cost / scale).numpy()))
    uniform = torch.rand((n, n), generator=generator, dtype=torch.float64)
    gumbel = -(-uniform.clamp_min(torch.finfo(torch.float64).tiny).log()).log()
    return cheapest(-(log_plan + gumbel))


def _log_plan(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the entropic plan at regularization 1, by POT's log-domain Sinkhorn.

    It stays finite where the plan itself underflows.
    """
    try:
        from ot.bregman import sinkhorn_log
    except ImportError as error:
        raise ComponentError(
            "coupling 'minibatch_ot' with method 'sinkhorn' needs the library POT: "
            "pip install pot, or use method 'exact'"
        ) from error
    marginal = np.full(len(cost), 1 / len(cost))
    with np.errstate(over="ignore"):  # POT also computes the plan itself, which may overflow
        _, log = sinkhorn_log(marginal, marginal, cost, 1.0, log=True, warn=False)
    log_plan: NDArray[np.float64] = log["log_u"][:, None] + log["log_v"][None, :] - cost
    return log_plan
