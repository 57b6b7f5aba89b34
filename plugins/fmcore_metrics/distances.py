"""Euclidean distances between rows, without cancellation."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["distances"]

WIDE = 64
"""The number of columns up to which differences cost no more than a matrix product."""

CLOSE = 1e-6
"""The share of |a|^2 + |b|^2 below which |a|^2 + |b|^2 - 2 a.b has lost too many digits: above it
the relative error of float64 stays below 1e-8."""

PAIRS = 4096
"""Close pairs whose differences are held in memory at once."""


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance of each row of `x` `(n, d)` to each of `y` `(m, d)`: `(n, m)`, float64.

    Equal rows are at distance 0 exactly, and an offset of all rows costs no digits: wide rows are
    centred before the matrix product, and close pairs are computed again by their differences.
    """
    x, y = x.double(), y.double()
    if x.shape[1] <= WIDE:
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    centre = y.mean(0)
    a, b = x - centre, y - centre
    size = a.square().sum(1)[:, None] + b.square().sum(1)
    square = torch.addmm(size, a, b.T, alpha=-2)
    for pairs in torch.split((square <= CLOSE * size).nonzero(), PAIRS):
        i, j = pairs.T
        square[i, j] = (x[i] - y[j]).square().sum(1)
    return square.sqrt()
