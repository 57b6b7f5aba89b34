"""A power average of any width, made after training from snapshots of a few widths.

Each snapshot is the average of the weights under a known profile p(tau) on [0, t]; the wanted one
is the least-squares combination of them, and so is the average.
Source: Karras et al., arXiv 2312.02696, section 3.2 and appendix C.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

__all__ = ["Kept", "combination", "combined"]


@final
@dataclass(frozen=True)
class Kept:
    """The profile (gamma + 1) tau^gamma / t^(gamma + 1) of an average over the steps up to t."""

    gamma: float
    t: float


def combination(kept: Sequence[Kept], wanted: Kept) -> Tensor:
    """The weights, one for each of `kept` in float64, whose sum of profiles comes closest to
    `wanted` in L2.
    """
    gram = torch.tensor([[_inner(a, b) for b in kept] for a in kept], dtype=torch.float64)
    towards = torch.tensor([[_inner(a, wanted)] for a in kept], dtype=torch.float64)
    # profiles of neighbouring snapshots are nearly the same: the least norm among the best
    solved: Tensor = torch.linalg.lstsq(gram, towards, driver="gelsd").solution
    return solved.flatten()


def combined(averages: Iterable[dict[str, Tensor]], weights: Tensor) -> dict[str, Tensor]:
    """The weighted sum of averages, read one after the other; what is not a number comes from the
    last.
    """
    total: dict[str, Tensor] = {}
    for average, weight in zip(averages, weights.tolist(), strict=True):
        for name, tensor in average.items():
            if not tensor.is_floating_point():
                total[name] = tensor
            elif name in total:
                total[name].add_(tensor, alpha=weight)
            else:
                total[name] = weight * tensor.float()
    return total


def _inner(a: Kept, b: Kept) -> float:
    """The integral of both profiles' product, over the steps that both have seen."""
    first, later = (a, b) if a.t <= b.t else (b, a)
    scale = (a.gamma + 1) * (b.gamma + 1) / (a.gamma + b.gamma + 1)
    return scale * float((first.t / later.t) ** later.gamma) / later.t
