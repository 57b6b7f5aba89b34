"""A small network of speech, for a few minutes of training on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ConditionSpec
from fmcore_audio.spoken_field import SpokenField, time_layers
from fmcore_audio.text_encoder import ChannelNorm, DurationNet, TextEncoder

__all__ = ["SpeechSmall"]

DILATIONS = (1, 2, 4, 8)

FEATURES, FASTEST = 32, 100.0
"""Sinusoids of time: with 1000 radians a field trained so briefly is rough in t."""

NO_ENTRIES: Mapping[str, ConditionSpec] = {}


@final
class SpeechSmall(SpokenField):
    """`depth` residual convolutions of `width` channels over dilated frames, on the state and the
    mean spectrogram, and a text encoder of `text_width` channels.

    Each layer normalises every frame by itself, and time scales and shifts the result.  Training
    uses `segment` frames of each clip, at random; null uses all.  `symbols` is the number of text
    indices, with padding.

    `time_scale` is the highest frequency of the time embedding, in radians from noise to data.
    Flow maps (`span`, set by the framework) need about 3.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        symbols: Annotated[int, Gt(1)] = 64,
        width: Annotated[int, Gt(0)] = 128,
        depth: Annotated[int, Gt(0)] = 8,
        text_width: Annotated[int, Gt(0)] = 64,
        text_depth: Annotated[int, Gt(0)] = 4,
        segment: Annotated[int, Gt(0)] | None = 64,
        span: bool = False,
        time_scale: Annotated[float, Gt(0)] = FASTEST,
    ) -> None:
        super().__init__("speech_small", shape, entries, segment)
        self.features, self.time_scale, self.span = FEATURES, time_scale, span
        self.encoder = TextEncoder(symbols, text_width, text_depth)
        self.means = nn.Conv1d(text_width, self.mels, 1)
        self.durations = DurationNet(text_width, text_width)
        self.time = time_layers(FEATURES, width, width)
        self.inner = nn.Conv1d(2 * self.mels, width, 1)
        self.layers = nn.ModuleList(
            DilatedLayer(width, DILATIONS[i % len(DILATIONS)]) for i in range(depth)
        )
        self.norm = ChannelNorm(width)
        self.outer = nn.Conv1d(width, self.mels, 1)
        self.span_time = time_layers(FEATURES, width, width) if span else None

    @property
    def embedding_size(self) -> int:
        return self.encoder.embedding.num_embeddings

    def encode(self, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(text, mask)
        return self.means(hidden) * mask, self.durations(hidden, mask)

    def denoise(self, x: Tensor, t: Tensor, until: Tensor, mu: Tensor, mask: Tensor) -> Tensor:
        time = F.silu(self.embedded(t, until).to(x.dtype))
        hidden = self.inner(torch.cat([x, mu], 1))
        for layer in self.layers:
            hidden = layer(hidden, time, mask)
        velocity: Tensor = self.outer(self.norm(hidden)) * mask
        return velocity


@final
class DilatedLayer(nn.Module):
    """A residual convolution over 3 frames, `dilation` apart, modulated by time."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, hidden: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """Return `hidden`, `(batch, width, frames)`, plus the layer's change."""
        scale, shift = self.modulation(time)[:, :, None].chunk(2, 1)
        # masked after the shift: the convolution must see zeros where nothing exists
        seen = (self.norm(hidden) * (1 + scale) + shift) * mask
        changed: Tensor = hidden + self.mix(F.gelu(self.conv(seen)))
        return changed
