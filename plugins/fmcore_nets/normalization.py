"""Normalisations whose result has the dtype of their input, under autocast too."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GroupNorm", "RMSNorm", "group_count"]

MOST_GROUPS = 32
LEAST_PER_GROUP = 4
"""Fewest channels per group: a group of one channel loses the channel's mean, which carries most of
the image."""


def group_count(channels: int) -> int:
    """Return the number of groups for `channels` channels: ADM's 32, or fewer for few channels.

    The count always divides `channels`.

    >>> group_count(192), group_count(32), group_count(90)
    (32, 8, 18)
    """
    most = max(1, min(MOST_GROUPS, channels // LEAST_PER_GROUP))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)


@final
class GroupNorm(nn.Module):
    """Group normalisation of `(batch, channels, ...)`, returned in x's dtype."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = group_count(channels)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        # autocast runs group_norm in float32 and returns float32: the cast keeps x's dtype
        return F.group_norm(x, self.groups, self.weight, self.bias, eps=1e-5).to(x.dtype)


@final
class RMSNorm(nn.Module):
    """x over the root mean square of its last axis, times a learned weight, in x's dtype."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        # the weight in x's dtype: torch has no fused kernel for two dtypes and warns
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), eps=1e-6)
