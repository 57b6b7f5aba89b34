"""The embedding of time and class label that modulates every block of a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import Condition, ConditionSpec
from fmcore_nets.conditioning import NO_ENTRIES, vectors

__all__ = ["Embedding", "sinusoidal"]

LOWEST_RATIO = 1e-4
"""Slowest over fastest frequency, as in Vaswani et al. 2017, section 3.5."""


def sinusoidal(t: Tensor, features: int, fastest: float, ratio: float = LOWEST_RATIO) -> Tensor:
    """Return cosines, then sines, of `t` at geometrically spaced frequencies, `(batch, features)`.

    `fastest` is the highest frequency in radians per unit of t; all others are above `ratio` times
    it.  The result is float32 or wider: in bfloat16, 1000 t has too few digits.  An odd number of
    features is padded with one zero.
    """
    t = t.to(torch.promote_types(t.dtype, torch.float32))
    half = features // 2
    steps = torch.arange(half, dtype=t.dtype, device=t.device) / half
    angles = t[:, None] * (fastest * torch.exp(math.log(ratio) * steps))
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=1), (0, features % 2))


@final
class Embedding(nn.Module):
    """ADM's embedding: `features` sinusoids of t through two layers to `width` channels, plus a
    learned vector per class, and a linear map of the other conditions.

    `scale` is the highest frequency, in radians per unit of t.  The null class (-1, or no label)
    adds nothing, so it needs no row of the table.
    """

    def __init__(
        self,
        features: int,
        width: int,
        classes: int,
        scale: float,
        span: bool = False,
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
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
        self.entries = entries
        columns = sum(spec.size + 1 for spec in entries.values())
        # the column of a flag is the bias: rows without the entry get nothing
        self.given = nn.Linear(columns, width, bias=False) if entries else None

    def forward(
        self,
        t: Tensor,
        condition: Condition | None,
        dtype: torch.dtype,
        until: Tensor | None = None,
    ) -> Tensor:
        """Return the vectors `(batch, width)` of times `(batch,)` and `condition["label"]`."""
        vector: Tensor = self.outer(
            F.silu(self.inner(sinusoidal(t, self.features, self.scale).to(dtype)))
        )
        if self.span_inner is not None and self.span_outer is not None:
            length = torch.zeros_like(t) if until is None else until - t
            features = sinusoidal(length, self.features, self.scale).to(dtype)
            vector = vector + self.span_outer(F.silu(self.span_inner(features)))
        if self.given is not None:
            vector = vector + self.given(vectors(vector, condition, self.entries))
        if self.label is None or condition is None or "label" not in condition:
            return vector
        label = condition["label"]
        has_class = (label >= 0)[:, None]
        # -1 is no index of the table: look up class 0 and multiply by 0
        class_vector: Tensor = self.label(label.clamp_min(0))
        return vector + (class_vector * has_class).to(vector.dtype)
