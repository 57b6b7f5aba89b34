"""Draws of training times, as fractions of a path's interval: float32 in [0, 1], on the CPU.

An objective composes its `sample_time` from these.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["logit_normal_times", "stratified_times", "uniform_times"]


def uniform_times(n: int, generator: torch.Generator) -> Tensor:
    """`(n,)` independent draws of U[0, 1).  Source: eq. 5."""
    return torch.rand(n, generator=generator)


def stratified_times(n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
    """`(n,)` draws, one from each of n equal cells of [0, 1], in random order.

    As part `(k, of)` of a batch that is drawn in `of` parts, the cells are those numbered k,
    k + of, ... of n * of: the parts together fill every cell once, and each covers [0, 1] evenly.
    """
    k, of = part
    cell = torch.randperm(n, generator=generator) * of + k
    return (cell + torch.rand(n, generator=generator)) / (n * of)


def logit_normal_times(
    n: int, generator: torch.Generator, mean: float = 0.0, std: float = 1.0
) -> Tensor:
    """`(n,)` draws whose logit is N(mean, std^2): the middle more often than the ends.

    Source: Esser et al. 2024 (arXiv 2403.03206), section 3.1.
    """
    return torch.randn(n, generator=generator).mul(std).add(mean).sigmoid()
