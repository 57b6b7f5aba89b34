"""The generator of HiFi-GAN (Kong et al. 2020, arXiv 2010.05646), for inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError

__all__ = ["HifiganConfig", "HifiganGenerator", "folded"]

SLOPE, LAST_SLOPE = 0.1, 0.01
"""Of the leaky ReLUs; the last one has PyTorch's default in the published weights."""


@final
@dataclass(frozen=True)
class HifiganConfig:
    """The values of a published config.json that the generator needs; the defaults are V1's."""

    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4)
    upsample_initial_channel: int = 512
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    resblock: str = "1"
    num_mels: int = 80
    sampling_rate: int = 22050

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return prod(self.upsample_rates)


@final
class HifiganGenerator(nn.Module):
    """Sounds, `(batch, frames hop)` in [-1, 1], of log-mel spectrograms, `(batch, mels, frames)`.

    The parameters have the names of the published checkpoints, with their weight norm folded.
    """

    def __init__(self, config: HifiganConfig) -> None:
        super().__init__()
        width = config.upsample_initial_channel
        self.conv_pre = nn.Conv1d(config.num_mels, width, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        block = ResBlock1 if config.resblock == "1" else ResBlock2
        stages = zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
        for i, (rate, kernel) in enumerate(stages, 1):
            channels = width // 2**i
            self.ups.append(
                nn.ConvTranspose1d(2 * channels, channels, kernel, rate, (kernel - rate) // 2)
            )
            for size, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            ):
                self.resblocks.append(block(channels, size, dilations))
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        """Return the sounds of `mel`."""
        hidden = self.conv_pre(mel)
        each = len(self.resblocks) // len(self.ups)
        for i, up in enumerate(self.ups):
            hidden = up(F.leaky_relu(hidden, SLOPE))
            blocks = self.resblocks[i * each : (i + 1) * each]
            hidden = torch.stack([block(hidden) for block in blocks]).mean(0)
        wave: Tensor = self.conv_post(F.leaky_relu(hidden, LAST_SLOPE))
        return wave.tanh()[:, 0]


@final
class ResBlock1(nn.Module):
    """Pairs of residual convolutions, of which the first is dilated."""

    def __init__(self, width: int, size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_convolution(width, size, d) for d in dilations)
        self.convs2 = nn.ModuleList(_convolution(width, size, 1) for _ in dilations)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return `hidden`, `(batch, width, samples)`, changed."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            changed = first(F.leaky_relu(hidden, SLOPE))
            hidden = hidden + second(F.leaky_relu(changed, SLOPE))
        return hidden


@final
class ResBlock2(nn.Module):
    """Dilated residual convolutions, of the small configuration V3."""

    def __init__(self, width: int, size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_convolution(width, size, d) for d in dilations)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return `hidden`, `(batch, width, samples)`, changed."""
        for conv in self.convs:
            hidden = hidden + conv(F.leaky_relu(hidden, SLOPE))
        return hidden


def folded(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a state dict without weight norm: w = g v / |v|, the norm over all axes but the first.

    Raises ComponentError for a direction without its length.
    """
    found = {}
    for name, value in state.items():
        if name.endswith(".weight_g"):
            continue
        if not name.endswith(".weight_v"):
            found[name] = value
            continue
        base = name.removesuffix("_v")
        if f"{base}_g" not in state:
            raise ComponentError(f"it has {name} and no {base}_g")
        length = value.float().flatten(1).norm(dim=1).view(-1, *(1,) * (value.ndim - 1))
        found[base] = state[f"{base}_g"].float() * value.float() / length
    return found


def _convolution(width: int, size: int, dilation: int) -> nn.Conv1d:
    padding = (size - 1) * dilation // 2
    return nn.Conv1d(width, width, size, padding=padding, dilation=dilation)
