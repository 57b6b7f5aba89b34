"""The U-Net of Dhariwal & Nichol 2021 ("ADM"), which the paper trains on images.

A network of L levels halves the image L - 1 times, with `depth` residual blocks per level in the
encoder and `depth + 1` in the decoder, which reads the encoder's outputs as skip connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fmcore import ComponentError, Condition, ConditionSpec, VectorField
from fmcore_nets.attention import Attention, head_count
from fmcore_nets.conditioning import NO_ENTRIES, chosen_entries, image_channels, images
from fmcore_nets.embedding import Embedding
from fmcore_nets.normalization import GroupNorm
from fmcore_nets.residual import Downsample, Resample, ResidualBlock, Upsample, zero_conv

__all__ = ["UNet"]

UpDown = Literal["residual", "conv"]


@final
class UNet(VectorField):
    """ADM's U-Net for images `(channels, height, width)` of any size.

    `channels` times `channel_mult` is the width of each level, `depth` its residual blocks.
    `attention_resolutions` are image heights (16 means the 16x16 level); the middle block always
    has attention.  `head_channels` is the number of channels per head; `heads`, if given, is the
    number of heads instead.  `classes` > 0 makes it read `condition["label"]`.  `updown` resamples
    in a residual block, as ADM does, or by a convolution, as DDPM does; `scale_shift` is ADM's
    modulation.  `conditions` names other entries of the data that it reads: images
    `(channels, height, width)` as channels, resized to x's size, all others as vectors in the
    embedding; the framework fills in their shapes (`entries`).  `recompute` stores no activations
    inside the blocks and computes them again in the backward pass: less memory, a third more time.
    The output is zero at initialisation.
    `time_scale` is the highest frequency of the time embedding, in radians from noise to data:
    ADM's is 1000; a smaller one makes the field smoother in t, so that adaptive solvers take fewer
    steps; flow maps (`span`, set by the framework) need about 3.

    Raises ComponentError for a shape that is no image, for images that are too small to be halved
    once per level, and for channels that do not divide into heads.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: Annotated[int, Gt(1)] = 64,  # one channel would embed no time
        depth: Annotated[int, Gt(0)] = 2,
        channel_mult: tuple[int, ...] = (1, 2, 2),
        attention_resolutions: tuple[int, ...] = (),
        head_channels: Annotated[int, Gt(0)] = 64,
        heads: Annotated[int, Gt(0)] | None = None,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        classes: Annotated[int, Ge(0)] = 0,
        updown: UpDown = "residual",
        scale_shift: bool = True,
        recompute: bool = False,
        span: bool = False,
        conditions: tuple[str, ...] = (),
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        time_scale: Annotated[float, Gt(0)] = 1000.0,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.classes = classes
        self.span = span
        levels = _levels(shape, channels, tuple(channel_mult), tuple(attention_resolutions))
        build = _Builder(4 * channels, dropout, scale_shift, updown, head_channels, heads)
        read = chosen_entries(conditions, entries, "unet")
        self.read_images = {k: v for k, v in read.items() if len(v.shape) == 3}
        self.read_vectors = {k: v for k, v in read.items() if k not in self.read_images}
        self.embedding = Embedding(
            channels, 4 * channels, classes, time_scale, span, self.read_vectors
        )
        self.stem = nn.Conv2d(
            shape[0] + image_channels(self.read_images), levels[0].width, 3, padding=1
        )
        self.down, widths = build.encoder(levels, depth)
        self.middle = build.middle(levels[-1].width)
        self.up = build.decoder(levels, depth, widths)
        self.norm = GroupNorm(levels[0].width)
        self.head = zero_conv(levels[0].width, shape[0])

    @property
    def reads(self) -> frozenset[str]:
        return super().reads | self.read_images.keys() | self.read_vectors.keys()

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        *,
        until: Tensor | None = None,
    ) -> Tensor:
        embedding = self.embedding(t, condition, x.dtype, until)
        h = self.stem(torch.cat([x, *images(x, condition, self.read_images)], dim=1))
        skips = [h]
        for stage in self.down:
            h = self._apply_stage(stage, h, embedding)
            skips.append(h)
        h = self._apply_stage(self.middle, h, embedding)
        for stage in self.up:
            h = self._apply_stage(stage, h, embedding, skips.pop())
        prediction: Tensor = self.head(F.silu(self.norm(h)))
        return prediction

    def _apply_stage(
        self, stage: nn.Module, h: Tensor, embedding: Tensor, skip: Tensor | None = None
    ) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(stage, h, embedding, skip, use_reentrant=False)  # type: ignore[no-any-return]
        return stage(h, embedding, skip)  # type: ignore[no-any-return]


@final
class _Stage(nn.Module):
    """The blocks between two skip connections; only residual blocks read the embedding.

    The skip is concatenated in here, inside what `recompute` computes again, so that autograd
    stores no copy of the concatenation.
    """

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, h: Tensor, embedding: Tensor, skip: Tensor | None = None) -> Tensor:
        if skip is not None:
            h = h[:, :, : skip.shape[2], : skip.shape[3]]  # odd sizes were rounded up
            h = torch.cat([h, skip], dim=1)
        for block in self.blocks:
            h = block(h, embedding) if isinstance(block, ResidualBlock) else block(h)
        return h


@dataclass(frozen=True)
class _Level:
    width: int
    has_attention: bool


def _levels(
    shape: tuple[int, ...],
    channels: int,
    channel_mult: tuple[int, ...],
    attention_resolutions: tuple[int, ...],
) -> list[_Level]:
    """Return the levels, the largest images first.  Raises ComponentError if the options do not fit
    the shape.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ComponentError(
            f"model 'unet' needs images (channels, height, width), not shape {tuple(shape)}; "
            "use 'mlp'"
        )
    if not channel_mult or min(channel_mult) < 1:
        raise ComponentError(
            f"model 'unet': channel_mult needs one or more positive integers, got {channel_mult}"
        )
    heights = list(_halvings(shape[1], len(channel_mult)))
    if min(shape[1:]) <= 2 ** (len(channel_mult) - 2):
        raise ComponentError(
            f"model 'unet': {shape[1]}x{shape[2]} images cannot be halved "
            f"{len(channel_mult) - 1} times; give channel_mult fewer levels"
        )
    if unknown := sorted(set(attention_resolutions) - set(heights)):
        raise ComponentError(
            f"model 'unet': no level has the size {', '.join(map(str, unknown))} of "
            f"attention_resolutions; the levels are {', '.join(map(str, heights))} high"
        )
    return [
        _Level(multiple * channels, height in attention_resolutions)
        for multiple, height in zip(channel_mult, heights, strict=True)
    ]


def _halvings(size: int, count: int) -> Iterator[int]:
    for _ in range(count):
        yield size
        size = -(-size // 2)


@dataclass(frozen=True)
class _Builder:
    """Builds stages from the options that all blocks share."""

    embedding: int
    dropout: float
    scale_shift: bool
    updown: UpDown
    head_channels: int
    heads: int | None

    def encoder(self, levels: list[_Level], depth: int) -> tuple[nn.ModuleList, list[int]]:
        """Return the stages from the image to the smallest level, and the width of every skip."""
        stages, width = nn.ModuleList(), levels[0].width
        widths = [width]
        for index, level in enumerate(levels):
            for _ in range(depth):
                stages.append(self.stage(width, level))
                width = level.width
                widths.append(width)
            if index < len(levels) - 1:
                stages.append(_Stage(self.resampling(width, "down")))
                widths.append(width)
        return stages, widths

    def middle(self, width: int) -> _Stage:
        return _Stage(self.block(width, width), self.attention(width), self.block(width, width))

    def decoder(self, levels: list[_Level], depth: int, widths: list[int]) -> nn.ModuleList:
        """Return the stages back to the image; each one consumes the last unused skip."""
        stages, width, skips = nn.ModuleList(), levels[-1].width, list(widths)
        for index in reversed(range(len(levels))):
            for repeat in range(depth + 1):
                stage = self.stage(width + skips.pop(), levels[index])
                width = levels[index].width
                if index > 0 and repeat == depth:
                    stage.blocks.append(self.resampling(width, "up"))
                stages.append(stage)
        return stages

    def stage(self, width: int, level: _Level) -> _Stage:
        block = self.block(width, level.width)
        return _Stage(block, self.attention(level.width)) if level.has_attention else _Stage(block)

    def block(self, width: int, out: int, resample: Resample | None = None) -> ResidualBlock:
        return ResidualBlock(
            width,
            out,
            self.embedding,
            dropout=self.dropout,
            scale_shift=self.scale_shift,
            resample=resample,
        )

    def attention(self, width: int) -> Attention:
        return Attention(width, head_count(width, self.head_channels, self.heads))

    def resampling(self, width: int, direction: Resample) -> nn.Module:
        if self.updown == "residual":
            return self.block(width, width, direction)
        return Downsample(width) if direction == "down" else Upsample(width)
