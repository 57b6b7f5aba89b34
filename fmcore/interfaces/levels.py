"""The maps between integer levels 0 .. L - 1 and points of [-1, 1].

    uniform   x = (k + u) / (L/2) - 1,    u ~ U[0, 1)    inverse: floor    (the paper's App. E.2)
    none      x = k / ((L-1)/2) - 1                      inverse: rounding

The inverse of the other map shifts every image by half a level.  A density in x becomes a
probability of levels by the width of a cell: `offset_bits` is log2 of the number of cells per unit
of x, added to the bits per dimension.  For `none` the cell of k extends half a level to either
side.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.rows import Rows

__all__ = ["Dequantize", "dequantized", "from_levels", "offset_bits", "to_levels"]

Dequantize = Literal["uniform", "none"]
"""How integer levels become points: uniform noise within the cell of a level, or its centre."""

CELL_MARGIN = 2.0**-13
"""The least distance, in levels, of a point from the edge of its cell.  In float32, 255 + u has an
error of 2^-14 after the map and its inverse: one draw in 30,000 would become the next level."""


def from_levels(k: Tensor, levels: int, dequantize: Dequantize, rows: Rows | None = None) -> Tensor:
    """Return training points in [-1, 1] of integer levels `k` in 0 .. `levels` - 1, in k's shape
    and on its device, float32.

    With `uniform`, which needs `rows`, row i of `k` gets the noise of row i.  Inverse: `to_levels`.
    """
    if dequantize == "none":
        return k.float() / ((levels - 1) / 2) - 1
    if rows is None:
        raise ComponentError("dequantize 'uniform' draws noise: give from_levels the rows of it")
    return dequantized(k, levels, dequantize, rows)


def dequantized(
    k: Tensor,
    levels: int,
    dequantize: Dequantize,
    rows: Rows,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return a uniform point of the cell of each level, in k's shape and on its device.

    For likelihoods: also with `none`, whose training points are the centres of the cells.
    """
    if len(rows) != len(k):
        raise ComponentError(f"noise of {len(rows)} rows for {len(k)} rows of levels")
    u = rows.uniform(k.shape[1:], dtype).clamp_(CELL_MARGIN, 1 - CELL_MARGIN).to(k.device)
    if dequantize == "uniform":
        x = (k + u) / (levels / 2) - 1
    else:
        x = (k + u - 0.5) / ((levels - 1) / 2) - 1
    return x


def to_levels(x: Tensor, levels: int, dequantize: Dequantize) -> Tensor:
    """Return the levels of points `x`, in x's shape, uint8; values outside [-1, 1] are clamped.

    `levels` is at most 256.
    """
    k = (
        ((x + 1) * (levels / 2)).floor()
        if dequantize == "uniform"
        else ((x + 1) * ((levels - 1) / 2)).round()
    )
    return k.clamp(0, levels - 1).to(torch.uint8)


def offset_bits(levels: int, dequantize: Dequantize) -> float:
    """Return the bits to add for each dimension: 7 for 256 levels and `uniform`.

    >>> offset_bits(256, "uniform")
    7.0
    """
    return math.log2(levels / 2 if dequantize == "uniform" else (levels - 1) / 2)
