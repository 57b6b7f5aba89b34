"""A power average of any width, computed after training from snapshots of a few widths.

Each snapshot is the average of the weights under a known profile p(tau) on [0, t].  The wanted
profile is approximated by a least-squares combination of them; the weights are combined alike.
Source: Karras et al., arXiv 2312.02696, section 3.2 and appendix C.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

__all__ = ["EmaProfile", "combination_weights", "combine"]


@final
@dataclass(frozen=True)
class EmaProfile:
    """The profile (gamma + 1) tau^gamma / t^(gamma + 1) of an average over the steps up to t."""

    gamma: float
    t: float


def combination_weights(kept: Sequence[EmaProfile], wanted: EmaProfile) -> Tensor:
    """Return the weights, float64 `(len(kept),)`, of the sum of profiles nearest `wanted` in L2."""
    # float64: the solution weighs snapshots of nearly equal profiles against each other
    gram = torch.tensor([[_inner(a, b) for b in kept] for a in kept], dtype=torch.float64)
    target = torch.tensor([[_inner(a, wanted)] for a in kept], dtype=torch.float64)
    # Profiles of neighbouring snapshots are nearly equal, so the Gram matrix is nearly singular:
    # gelsd gives the solution of least norm.
    solved: Tensor = torch.linalg.lstsq(gram, target, driver="gelsd").solution
    return solved.flatten()


def combine(averages: Iterable[dict[str, Tensor]], weights: Tensor) -> dict[str, Tensor]:
    """Return the weighted sum of `averages`; tensors that are not floating point are the last's.

    `averages` may be a generator: only one of them is in memory at a time.
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


def _inner(a: EmaProfile, b: EmaProfile) -> float:
    """Return the integral of the product of both profiles, over the steps that both cover."""
    first, later = (a, b) if a.t <= b.t else (b, a)
    scale = (a.gamma + 1) * (b.gamma + 1) / (a.gamma + b.gamma + 1)
    return scale * float((first.t / later.t) ** later.gamma) / later.t
