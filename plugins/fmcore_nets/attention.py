"""Self-attention over the pixels of a feature map."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError
from fmcore_nets.normalization import GroupNorm

__all__ = ["Attention", "heads_of"]


def heads_of(channels: int, head_channels: int, heads: int | None) -> int:
    """How many heads share `channels`: `heads` if given, else heads of `head_channels` each (one
    head where the channels are fewer).  Raises ComponentError if they do not divide.
    """
    count = heads if heads is not None else max(1, channels // head_channels)
    width = channels if count == 1 and channels < head_channels else head_channels
    if channels % count or (heads is None and channels != count * width):
        parts = f"{heads} heads" if heads is not None else f"heads of {head_channels} channels"
        raise ComponentError(
            f"model 'unet': {channels} channels do not divide into {parts}; "
            "change channels, channel_mult, head_channels or heads"
        )
    return count


@final
class Attention(nn.Module):
    """x + proj(attention(norm(x))) over the positions of `(batch, channels, height, width)`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GroupNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        heads = (batch, height * width, 3, self.heads, channels // self.heads)
        q, k, v = self.qkv(tokens).view(heads).permute(2, 0, 3, 1, 4)
        mixed = _attended(q, k, v).transpose(1, 2).flatten(2)
        update: Tensor = self.proj(mixed)
        return x + update.transpose(1, 2).reshape(x.shape)


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(width)) v for each head, all `(batch, heads, positions, width)`."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # torch's fused kernel takes twice the time of two matrix products here (docs/benchmarks.md)
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        mixed: Tensor = weights.softmax(-1).to(v.dtype) @ v
        return mixed
    return F.scaled_dot_product_attention(q, k, v)
