"""Distributions of training times, as fractions of a path's interval: float32 in [0, 1], on the
CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["logit_normal_times", "stratified_times", "uniform_times"]


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


def logit_normal_times(
    n: int, generator: torch.Generator, mean: float = 0.0, std: float = 1.0
) -> Tensor:
    """Draw `(n,)` times whose logit is N(mean, std^2): with more in the middle than at the ends.

    Source: Esser et al. 2024 (arXiv 2403.03206), section 3.1.
    """
    return torch.randn(n, generator=generator).mul(std).add(mean).sigmoid()
