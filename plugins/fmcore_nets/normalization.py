"""Group normalisation with statistics in float32, whatever the precision around it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GroupNorm", "groups_of"]

MOST_GROUPS = 32
LEAST_PER_GROUP = 4  # one channel alone would lose its mean, which carries the picture


def groups_of(channels: int) -> int:
    """ADM's 32 groups; fewer where `channels` are few, or do not divide.

    >>> groups_of(192), groups_of(32), groups_of(90)
    (32, 8, 18)
    """
    most = max(1, min(MOST_GROUPS, channels // LEAST_PER_GROUP))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)


@final
class GroupNorm(nn.Module):
    """Normalise groups of channels of `(batch, channels, ...)`, and give back x's dtype."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = groups_of(channels)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, self.weight, self.bias, eps=1e-5).to(x.dtype)
