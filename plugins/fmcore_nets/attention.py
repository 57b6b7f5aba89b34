"""Attention, and self-attention over the pixels of a feature map."""

from __future__ import annotations

from typing import final

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError
from fmcore_nets.normalization import GroupNorm

__all__ = ["Attention", "attention", "head_count"]


def head_count(channels: int, head_channels: int, heads: int | None) -> int:
    """Return the number of attention heads for `channels` channels.

    This is `heads` if given, else `channels / head_channels`, and 1 if `channels` is smaller than
    `head_channels`.  Raises ComponentError if the channels do not divide evenly.
    """
    if heads is None and channels < head_channels:
        return 1
    count = heads if heads is not None else channels // head_channels
    width = channels // count if heads is not None else head_channels
    if channels != count * width:
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
        tokens = rearrange(self.norm(x), "b c height width -> b (height width) c")
        q, k, v = rearrange(
            self.qkv(tokens), "b n (qkv heads c) -> qkv b heads n c", qkv=3, heads=self.heads
        )
        mixed = rearrange(attention(q, k, v), "b heads n c -> b n (heads c)")
        update: Tensor = self.proj(mixed)
        return x + rearrange(update, "b (height width) c -> b c height width", height=x.shape[2])


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(channels)) v per head, all `(batch, heads, positions, c)`."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # torch's fused kernel takes twice the time of two matrix products here (docs/benchmarks.md)
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        mixed: Tensor = weights.softmax(-1).to(v.dtype) @ v
        return mixed
    return F.scaled_dot_product_attention(q, k, v)
