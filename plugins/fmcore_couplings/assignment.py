"""Which row of x0 goes to which row of x1: permutations, so that no row is dropped or repeated."""

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
"""Sinkhorn's temperature, in units of the mean cost, and its rounds: where scipy's search and they
together took the least time at 1024 rows (370 -> 66 ms in 2 dimensions, 129 -> 35 ms in 784).
"""


def cheapest(cost: Tensor) -> Tensor:
    """The permutation p, int64 `(n,)`, with the least sum of cost[p[j], j]: exact optimal transport
    between two samples of n points.
    """
    _, column_of_row = linear_sum_assignment(reduced(cost.cpu()).double().numpy())
    return torch.from_numpy(column_of_row).argsort()


def reduced(cost: Tensor) -> Tensor:
    """`cost` less a term of each row and a term of each column, which every permutation pays alike,
    chosen so that cheap pairs cost nearly nothing.

    The best permutation stays the best whatever the terms; good ones spare the search its way.
    These are the logarithms of a few rounds of Sinkhorn's scalings.
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
    return smooth if smooth.isfinite().all() else cost  # overflow: costs that differ wildly


def entropic(cost: Tensor, regularization: float, generator: torch.Generator) -> Tensor:
    """A permutation drawn by the entropic transport plan: exact for regularization -> 0, uniform
    for -> infinity.

    `regularization` is in units of the mean cost.  A plan is a matrix, not a
    permutation; the permutation is the likeliest under the plan after Gumbel noise on its
    logarithm, which is how one draws from a categorical, applied to a whole assignment.
    """
    n = len(cost)
    cost = cost.double().cpu()
    scale = regularization * cost.mean().clamp_min(torch.finfo(torch.float64).tiny)
    log_plan = torch.from_numpy(_log_plan((cost / scale).numpy()))
    uniform = torch.rand((n, n), generator=generator, dtype=torch.float64)
    gumbel = -(-uniform.clamp_min(torch.finfo(torch.float64).tiny).log()).log()
    return cheapest(-(log_plan + gumbel))


def _log_plan(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the entropic plan at regularization 1, by POT's Sinkhorn in the log domain;
    it stays finite where the plan itself underflows.
    """
    try:
        from ot.bregman import sinkhorn_log
    except ImportError as error:
        raise ComponentError(
            "coupling 'minibatch_ot' with method 'sinkhorn' needs the library POT: "
            "pip install pot, or use method 'exact'"
        ) from error
    marginal = np.full(len(cost), 1 / len(cost))
    with np.errstate(over="ignore"):  # of the plan itself, which is not used
        _, log = sinkhorn_log(marginal, marginal, cost, 1.0, log=True, warn=False)
    log_plan: NDArray[np.float64] = log["log_u"][:, None] + log["log_v"][None, :] - cost
    return log_plan
