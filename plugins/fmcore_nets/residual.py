"""ADM's residual block, which can also resample, and the convolutional resampling layers.

An odd size is halved upwards (7 becomes 4), so that doubling covers it and the U-Net can crop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore_nets.normalization import GroupNorm

__all__ = ["Downsample", "Resample", "ResidualBlock", "Upsample", "zero_conv"]

Resample = Literal["down", "up"]


def zero_conv(channels: int, out: int) -> nn.Conv2d:
    """Return a 3x3 convolution initialised to zero, so that a residual branch starts as the
    identity.
    """
    conv = nn.Conv2d(channels, out, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # there is a bias
    return conv


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


_RESAMPLING: dict[Resample, Callable[[Tensor], Tensor]] = {"down": _halve, "up": _double}


@final
class ResidualBlock(nn.Module):
    """x + conv(silu(modulate(norm(conv(silu(norm(x))))))), from `channels` to `out` channels.

    The embedding modulates the second norm: by scale and shift (`scale_shift`), or added before the
    norm.  `resample` halves or doubles both branches.  Source: Dhariwal & Nichol 2021, section 3.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        embedding: int,
        *,
        dropout: float,
        scale_shift: bool,
        resample: Resample | None = None,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.dropout = dropout
        self.resample = resample
        self.norm_in = GroupNorm(channels)
        self.conv_in = nn.Conv2d(channels, out, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * out if scale_shift else out)
        self.norm_out = GroupNorm(out)
        self.conv_out = zero_conv(out, out)
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h: Tensor = F.silu(self.norm_in(x))
        if self.resample is not None:
            h, x = _RESAMPLING[self.resample](h), _RESAMPLING[self.resample](x)
        modulation = rearrange(self.modulation(F.silu(embedding)), "b c -> b c 1 1")
        h = self._modulate(self.conv_in(h), modulation)
        h = self.conv_out(F.dropout(F.silu(h), self.dropout, self.training))
        shortcut: Tensor = self.skip(x)
        return shortcut + h

    def _modulate(self, h: Tensor, modulation: Tensor) -> Tensor:
        if not self.scale_shift:
            normed: Tensor = self.norm_out(h + modulation)
            return normed
        scale, shift = modulation.chunk(2, dim=1)
        scaled: Tensor = torch.addcmul(shift, self.norm_out(h), 1 + scale)
        return scaled


@final
class Downsample(nn.Module):
    """A 3x3 convolution of stride 2, which halves height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(x)
        return halved


@final
class Upsample(nn.Module):
    """Doubles height and width by repeating pixels, then applies a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.conv(_double(x))
        return doubled
