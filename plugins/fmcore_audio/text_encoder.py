"""From symbols to the mean spectrogram and the duration of each."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelNorm", "DurationNet", "TextEncoder"]


@final
class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of `(batch, channels, length)`: each place has its own
    statistics, so that padding does not matter.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised tensor."""
        normal: Tensor = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return normal


@final
class TextEncoder(nn.Module):
    """An embedding, and `depth` residual convolutions over 5 symbols of `width` channels."""

    def __init__(self, symbols: int, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.norms = nn.ModuleList(ChannelNorm(width) for _ in range(depth))
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(depth))

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width, symbols)` of indices `(batch, symbols)`; `mask` is `(batch, 1,
        symbols)`.
        """
        hidden: Tensor = self.embedding(text).transpose(1, 2) * mask
        for norm, conv in zip(self.norms, self.convs, strict=True):
            hidden = hidden + F.gelu(conv(norm(hidden) * mask)) * mask
        return hidden


@final
class DurationNet(nn.Module):
    """The logarithm of each symbol's number of frames.  It trains without changing the encoder."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv1d(inputs, width, 3, padding=1), nn.Conv1d(width, width, 3, padding=1)]
        )
        self.norms = nn.ModuleList(ChannelNorm(width) for _ in self.convs)
        self.out = nn.Conv1d(width, 1, 1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, symbols)` of `hidden`, `(batch, inputs, symbols)`."""
        hidden = hidden.detach()
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = norm(F.gelu(conv(hidden * mask)))
        logs: Tensor = (self.out(hidden * mask) * mask)[:, 0]
        return logs


def sinusoids(t: Tensor, features: int, fastest: float = 1000.0) -> Tensor:
    """Return cosines and sines of t, `(batch, features)`, of frequencies from 1 to `fastest`
    radians per unit of time, geometrically spaced; float32.
    """
    half = features // 2
    ratios = torch.linspace(0, 1, half, device=t.device)
    angles = t.float()[:, None] * fastest**ratios
    return torch.cat([angles.cos(), angles.sin()], 1)
