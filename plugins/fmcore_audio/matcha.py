"""The network of Matcha-TTS: a transformer over text, and a one-dimensional U-Net over frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError, ConditionSpec
from fmcore_audio.spoken_field import SpokenField, time_layers
from fmcore_audio.text_encoder import ChannelNorm, DurationNet, TextEncoder

__all__ = ["Matcha", "masked_group_norm", "rotated"]

GROUPS = 8
NO_ENTRIES: Mapping[str, ConditionSpec] = {}


@final
class Matcha(SpokenField):
    """The text encoder and decoder of Matcha-TTS (Mehta et al. 2023, arXiv 2309.03199).

    Text: an embedding of `text_width` channels, three convolutions, and `layers` transformer layers
    of `heads` heads with rotary positions.  Frames: a U-Net of `width` channels at two resolutions,
    of residual blocks with group normalisation and transformer blocks.  Unlike in the released
    code, statistics and attention see existing frames alone, so padding does not matter.
    `segment` frames of each clip are used in training; null uses all.  `time_scale` is the highest
    frequency of the time embedding, in radians from noise to data: the paper has 1000, flow maps
    (`span`, set by the framework) need about 3.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        symbols: Annotated[int, Gt(1)] = 64,
        text_width: Annotated[int, Gt(0)] = 192,
        layers: Annotated[int, Gt(0)] = 6,
        heads: Annotated[int, Gt(0)] = 2,
        width: Annotated[int, Gt(0)] = 256,
        middle: Annotated[int, Gt(0)] = 2,
        segment: Annotated[int, Gt(0)] | None = None,
        span: bool = False,
        time_scale: Annotated[float, Gt(0)] = 1000.0,
    ) -> None:
        super().__init__("matcha", shape, entries, segment)
        self.features, self.time_scale, self.span = width, time_scale, span
        if text_width % (2 * heads) or width % GROUPS or width % (2 * heads):
            raise ComponentError(
                f"model 'matcha': text_width ({text_width}) and width ({width}) must be multiples "
                f"of 2 heads ({2 * heads}), and width of {GROUPS}"
            )
        if segment is not None and segment % 2:
            raise ComponentError(f"model 'matcha': segment must be even, got {segment}")
        self.encoder = TextEncoder(symbols, text_width, 3)
        self.layers = nn.ModuleList(
            Attention(text_width, heads, 4, rotary=True, kernel=3) for _ in range(layers)
        )
        self.means = nn.Conv1d(text_width, self.mels, 1)
        self.durations = DurationNet(text_width, width)
        self.time = time_layers(width, 4 * width, width)
        self.down = nn.ModuleList([Stage(2 * self.mels, width, heads), Stage(width, width, heads)])
        self.downsample = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(Stage(width, width, heads) for _ in range(middle))
        self.up = nn.ModuleList([Stage(2 * width, width, heads), Stage(2 * width, width, heads)])
        self.upsample = nn.ConvTranspose1d(width, width, 4, stride=2, padding=1)
        self.last = ResBlock(width, width)
        self.outer = nn.Conv1d(width, self.mels, 1)
        self.span_time = time_layers(width, 4 * width, width) if span else None

    @property
    def embedding_size(self) -> int:
        return self.encoder.embedding.num_embeddings

    def encode(self, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(text, mask)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return self.means(hidden) * mask, self.durations(hidden, mask)

    def denoise(self, x: Tensor, t: Tensor, until: Tensor, mu: Tensor, mask: Tensor) -> Tensor:
        frames = x.shape[-1]
        pad = (0, frames % 2)
        x, mu, mask = (F.pad(value, pad) for value in (x, mu, mask))
        time = self.embedded(t, until).to(x.dtype)
        half = mask[..., ::2]
        fine = self.down[0](torch.cat([x, mu], 1), time, mask)
        coarse = self.down[1](self.downsample(fine * mask) * half, time, half)
        hidden = coarse
        for stage in self.middle:
            hidden = stage(hidden, time, half)
        hidden = self.up[0](torch.cat([hidden, coarse], 1), time, half)
        hidden = self.upsample(hidden * half) * mask
        hidden = self.up[1](torch.cat([hidden, fine], 1), time, mask)
        velocity: Tensor = self.outer(self.last(hidden, time, mask)) * mask
        return velocity[..., :frames]


@final
class Stage(nn.Module):
    """A residual block, then a transformer layer."""

    def __init__(self, inputs: int, width: int, heads: int) -> None:
        super().__init__()
        self.block = ResBlock(inputs, width)
        self.attention = Attention(width, heads, 4, rotary=False, kernel=1)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width, frames)`."""
        result: Tensor = self.attention(self.block(x, time, mask), mask)
        return result


@final
class ResBlock(nn.Module):
    """Two convolutions over 3 frames, with masked group normalisation, Mish and time between."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv1d(inputs, width, 3, padding=1), nn.Conv1d(width, width, 3, padding=1)]
        )
        self.gains = nn.ParameterList(nn.Parameter(torch.ones(width)) for _ in self.convs)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for _ in self.convs)
        self.time = nn.Linear(width, width)
        self.skip = nn.Conv1d(inputs, width, 1)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor) -> Tensor:
        """Return `(batch, width, frames)`, 0 outside the mask."""
        hidden = x
        for i, conv in enumerate(self.convs):
            hidden = masked_group_norm(conv(hidden * mask), mask, GROUPS)
            hidden = hidden * self.gains[i][:, None] + self.biases[i][:, None]
            hidden = F.mish(hidden)
            if i == 0:
                hidden = hidden + self.time(F.mish(time))[:, :, None]
        result: Tensor = (hidden + self.skip(x)) * mask
        return result


@final
class Attention(nn.Module):
    """A transformer layer: attention over existing places, then two layers of `ratio` times the
    channels, each with normalisation before it.  With `rotary`, positions rotate queries and keys
    (Su et al. 2021, arXiv 2104.09864).
    """

    def __init__(self, width: int, heads: int, ratio: int, *, rotary: bool, kernel: int) -> None:
        super().__init__()
        self.heads, self.rotary = heads, rotary
        self.norms = nn.ModuleList([ChannelNorm(width), ChannelNorm(width)])
        self.values = nn.Conv1d(width, 3 * width, 1)
        self.out = nn.Conv1d(width, width, 1)
        self.inner = nn.Conv1d(width, ratio * width, kernel, padding=kernel // 2)
        self.outer = nn.Conv1d(ratio * width, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `x`, `(batch, width, length)`, plus the layer's changes."""
        batch, width, length = x.shape
        split = self.values(self.norms[0](x)).view(batch, 3, self.heads, -1, length)
        query, key, value = split.transpose(-1, -2).unbind(1)
        if self.rotary:
            query, key = rotated(query), rotated(key)
        # a row without any place would attend to nothing, and give NaN
        seen = (mask > 0) | (mask.sum(-1, keepdim=True) == 0)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None])
        x = x + self.out(found.transpose(-1, -2).reshape(batch, width, length)) * mask
        hidden = F.gelu(self.inner(self.norms[1](x) * mask)) * mask
        changed: Tensor = x + self.outer(hidden) * mask
        return changed


def rotated(x: Tensor) -> Tensor:
    """Rotate pairs of channels of `x`, `(..., length, channels)`, by angles that grow with the
    place: products of two rotated vectors depend on the distance of their places.
    """
    length, channels = x.shape[-2:]
    half = channels // 2
    speeds = 10000 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = torch.arange(length, device=x.device)[:, None] * speeds
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half : 2 * half]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def masked_group_norm(x: Tensor, mask: Tensor, groups: int) -> Tensor:
    """Normalise groups of channels of `x`, `(batch, channels, frames)`, by the mean and variance
    over the frames where `mask` is 1; 0 elsewhere.
    """
    batch, channels, frames = x.shape
    # in float32: a sum over thousands of frames overflows in half precision
    split = x.float().view(batch, groups, -1, frames)
    exists = mask.float()[:, None]
    count = exists.sum((2, 3), keepdim=True).clamp_min(1) * (channels // groups)
    mean = (split * exists).sum((2, 3), keepdim=True) / count
    centred = (split - mean) * exists
    variance = centred.square().sum((2, 3), keepdim=True) / count
    return (centred * (variance + 1e-5).rsqrt()).view(batch, channels, frames).to(x.dtype)
