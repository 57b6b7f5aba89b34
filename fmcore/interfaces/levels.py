"""The map from L-level data to [-1, 1] and back: the only place where it is written.

    uniform   x = (k + u) / (L/2) - 1,    u ~ U[0, 1)    back by floor    (the paper's App. E.2)
    none      x = k / ((L-1)/2) - 1                      back by rounding

Using the other's way back shifts every image by half a level.  A density in x becomes a probability
of levels by the width of a cell: `offset_bits` is log2 of the number of cells per unit of x, added
to the bits per dimension. For `none` the cell around k reaches half a level to either side.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Dequantize", "dequantized", "from_levels", "offset_bits", "to_levels"]

Dequantize = Literal["uniform", "none"]
"""How integer levels become points: uniform noise within the cell of a level, or its centre."""

EDGE = 2.0**-13
"""How near a point comes to the edge of its cell: float32 carries 255 + u and its way there and
back to within 2^-14, and one draw in 30,000 would come back as the next level."""


def from_levels(
    k: Tensor, levels: int, dequantize: Dequantize, generator: torch.Generator
) -> Tensor:
    """Training points in [-1, 1], float32, of integer levels `k`; draws from `generator` if
    `uniform`.
    """
    return (
        dequantized(k, levels, dequantize, generator)
        if dequantize == "uniform"
        else k.float() / ((levels - 1) / 2) - 1
    )


def dequantized(
    k: Tensor,
    levels: int,
    dequantize: Dequantize,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A uniform point of the cell of each level, for likelihoods, whichever way the training data
    went in.
    """
    u = torch.rand(k.shape, generator=generator, dtype=dtype).clamp(EDGE, 1 - EDGE).to(k.device)
    if dequantize == "uniform":
        x = (k + u) / (levels / 2) - 1
    else:
        x = (k + u - 0.5) / ((levels - 1) / 2) - 1
    return x


def to_levels(x: Tensor, levels: int, dequantize: Dequantize) -> Tensor:
    """The levels, uint8, that points `x` stand for; values outside [-1, 1] are clamped."""
    k = (
        ((x + 1) * (levels / 2)).floor()
        if dequantize == "uniform"
        else ((x + 1) * ((levels - 1) / 2)).round()
    )
    return k.clamp(0, levels - 1).to(torch.uint8)


def offset_bits(levels: int, dequantize: Dequantize) -> float:
    """Bits to add per dimension: 7 for 256 levels and `uniform`.

    >>> offset_bits(256, "uniform")
    7.0
    """
    return math.log2(levels / 2 if dequantize == "uniform" else (levels - 1) / 2)
