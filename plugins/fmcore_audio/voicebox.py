"""The network of FLowHigh (Yun et al. 2025, arXiv 2501.04926), after Voicebox (Le et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError, Condition, ConditionSpec, VectorField
from fmcore_audio.matcha import rotated
from fmcore_audio.text_encoder import sinusoids

__all__ = ["Voicebox"]

NO_ENTRIES: Mapping[str, ConditionSpec] = {}

NEIGHBOURS = 31
"""Frames that the convolution sees which tells positions apart."""

CONVNEXT_KERNEL = 7


@final
class Voicebox(VectorField):
    """`depth` layers of `width` channels over the frames of the state and of the condition `low`.

    A layer of `transformer` has `heads` heads with rotary positions and normalised queries and
    keys, and a feed-forward network; one of `convnext` a depthwise convolution over 7 frames.
    Time scales the normalised input of each.  The paper has 2 transformer layers or 8 of ConvNeXt.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        layers: Literal["transformer", "convnext"] = "transformer",
        width: Annotated[int, Gt(0)] = 1024,
        depth: Annotated[int, Gt(0)] = 2,
        heads: Annotated[int, Gt(0)] = 16,
    ) -> None:
        super().__init__()
        if len(shape) != 2 or "low" not in entries:
            raise ComponentError(
                "model 'voicebox' needs spectrograms (mels, frames) with the condition low, as of "
                f"data 'audio_sr'; the data have shape {tuple(shape)} and the conditions "
                f"{', '.join(entries) or 'none'}"
            )
        if layers == "transformer" and width % (2 * heads):
            raise ComponentError(
                f"model.width is {width}: it must be a multiple of 2 model.heads, {2 * heads}"
            )
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU())
        self.inner = nn.Linear(2 * shape[0], width)
        self.near = nn.Conv1d(width, width, NEIGHBOURS, padding=NEIGHBOURS // 2, groups=width)
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads) if layers == "transformer" else ConvNextLayer(width)
            for _ in range(depth)
        )
        self.norm = FrameNorm(width)
        self.outer = nn.Linear(width, shape[0])

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"low"})

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        low = (condition or {}).get("low")
        low = torch.zeros_like(x) if low is None else low.to(x.dtype)
        time = self.time(sinusoids(t, self.width).to(x.dtype))
        hidden = self.inner(torch.cat([x, low], 1).transpose(1, 2))
        hidden = hidden + F.gelu(self.near(hidden.transpose(1, 2)).transpose(1, 2))
        for layer in self.layers:
            hidden = layer(hidden, time)
        velocity: Tensor = self.outer(self.norm(hidden)).transpose(1, 2)
        return velocity


@final
class FrameNorm(nn.Module):
    """Root-mean-square normalisation of the last axis, with learned scales.

    nn.RMSNorm warns where the scales have another type than its input, as under autocast.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, `(..., width)`, normalised."""
        return F.rms_norm(x, self.weight.shape) * self.weight


@final
class TimedNorm(nn.Module):
    """Root-mean-square normalisation of each frame, scaled and shifted by time.

    It begins as the plain normalisation.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.modulation = nn.Linear(4 * width, 2 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        """Return `hidden`, `(batch, frames, width)`, normalised; `time` is `(batch, 4 width)`."""
        scale, shift = self.modulation(time)[:, None].chunk(2, -1)
        normal: Tensor = F.rms_norm(hidden, (self.width,)) * (1 + scale) + shift
        return normal


@final
class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, both residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = TimedNorm(width), TimedNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm, self.key_norm = FrameNorm(width // heads), FrameNorm(width // heads)
        self.mix = nn.Linear(width, width, bias=False)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        """Return `hidden`, `(batch, frames, width)`, changed."""
        batch, frames, width = hidden.shape
        qkv = self.qkv(self.first(hidden, time)).view(batch, frames, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        query, key = rotated(self.query_norm(query)), rotated(self.key_norm(key))
        mixed = F.scaled_dot_product_attention(query, key, value)
        hidden = hidden + self.mix(mixed.transpose(1, 2).reshape(batch, frames, width))
        changed: Tensor = hidden + self.feed(self.second(hidden, time))
        return changed


@final
class ConvNextLayer(nn.Module):
    """A depthwise convolution and a feed-forward network, residual (Liu et al. 2022)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            width, width, CONVNEXT_KERNEL, padding=CONVNEXT_KERNEL // 2, groups=width
        )
        self.norm = TimedNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        """Return `hidden`, `(batch, frames, width)`, changed."""
        near = self.conv(hidden.transpose(1, 2)).transpose(1, 2)
        changed: Tensor = hidden + self.feed(self.norm(near, time))
        return changed
