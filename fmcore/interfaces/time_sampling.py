"""Uniform draws of training times, as fractions of a path's interval: float32 in [0, 1], on the
CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["stratified_times", "uniform_times"]


def uniform_times(n: int, generator: torch.Generator) -> Tensor:
    """Draw `(n,)` independent times from U[0, 1).  Source: eq. 5."""
    return torch.rand(n, generator=generator)


def stratified_times(n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
    """Draw `(n,)` times, one from each of n equal cells of [0, 1], in random order.

    With `part=(k, of)`, one of `of` parts of a batch, the cells are numbers k, k + of, ... of
    n * of cells: all parts together have one time in each cell, and each part covers [0, 1] evenly.
    """
    k, of = part
    cell = torch.randperm(n, generator=generator) * of + k
    return (cell + torch.rand(n, generator=generator)) / (n * of)
