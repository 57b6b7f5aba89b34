"""Time and class label as one vector, which every block of a network is modulated by."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import Condition

__all__ = ["Embedding", "sinusoidal"]

LOWEST_RATIO = 1e-4
"""Slowest over fastest frequency, as in Vaswani et al. 2017, section 3.5."""


def sinusoidal(t: Tensor, features: int, fastest: float, ratio: float = LOWEST_RATIO) -> Tensor:
    """Cosines, then sines, of `t` at geometrically spaced frequencies: `(batch, features)`.

    `fastest` is in radians per unit of t, and the slowest stays above `ratio` times it.  At least
    float32, whatever t's dtype: bfloat16 has no digits left for 1000 t.
    """
    t = t.to(torch.promote_types(t.dtype, torch.float32))
    half = features // 2
    steps = torch.arange(half, dtype=t.dtype, device=t.device) / half
    angles = t[:, None] * (fastest * torch.exp(math.log(ratio) * steps))
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=1), (0, features % 2))


@final
class Embedding(nn.Module):
    """ADM's embedding: `features` sinusoids of `scale` t through two layers to `width`, plus a
    vector per class.

    The null class (-1, or no label) adds nothing: an unconditional network is the conditional one
    without its labels, and no row is spent on it.
    """

    def __init__(
        self, features: int, width: int, classes: int, scale: float, span: bool = False
    ) -> None:
        super().__init__()
        self.features = features
        self.scale = scale  # ADM counts time in 1000 steps
        self.inner = nn.Linear(features, width)
        self.outer = nn.Linear(width, width)
        # until - t, the second time of a flow map
        self.span_inner = nn.Linear(features, width) if span else None
        self.span_outer = nn.Linear(width, width) if span else None
        self.label = nn.Embedding(classes, width) if classes else None

    def forward(
        self,
        t: Tensor,
        condition: Condition | None,
        dtype: torch.dtype,
        until: Tensor | None = None,
    ) -> Tensor:
        """The vectors `(batch, width)` of times `(batch,)` and `condition["label"]`."""
        vector: Tensor = self.outer(
            F.silu(self.inner(sinusoidal(t, self.features, self.scale).to(dtype)))
        )
        if self.span_inner is not None and self.span_outer is not None:
            length = torch.zeros_like(t) if until is None else until - t
            features = sinusoidal(length, self.features, self.scale).to(dtype)
            vector = vector + self.span_outer(F.silu(self.span_inner(features)))
        if self.label is None or condition is None or "label" not in condition:
            return vector
        label = condition["label"]
        known = (label >= 0)[:, None]
        named: Tensor = self.label(label.clamp_min(0))
        return vector + (named * known).to(vector.dtype)
