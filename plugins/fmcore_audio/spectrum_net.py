"""A small network of a vocoder, for a few minutes of training on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError, Condition, ConditionSpec, VectorField
from fmcore_audio.speech_small import DILATIONS, FASTEST, FEATURES, DilatedLayer
from fmcore_audio.text_encoder import ChannelNorm, sinusoids

__all__ = ["SpectrumNet"]

NO_ENTRIES: Mapping[str, ConditionSpec] = {}


@final
class SpectrumNet(VectorField):
    """`depth` residual convolutions of `width` channels over dilated frames of a complex spectrum,
    given the condition `mel`.

    A mel frame is repeated for each of its frames of the spectrum; the number of frames need not be
    that of training.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        width: Annotated[int, Gt(0)] = 256,
        depth: Annotated[int, Gt(0)] = 8,
    ) -> None:
        super().__init__()
        mel = entries.get("mel")
        if len(shape) != 2 or mel is None or shape[1] % mel.shape[-1]:
            raise ComponentError(
                "model 'spectrum_net' needs spectra (channels, frames) with the condition mel, as "
                f"of data 'spectra'; the data have shape {tuple(shape)} and the conditions "
                f"{', '.join(entries) or 'none'}"
            )
        self.mels, self.ratio = mel.shape[0], shape[1] // mel.shape[-1]
        self.time = nn.Sequential(nn.Linear(FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.inner = nn.Conv1d(shape[0] + self.mels, width, 3, padding=1)
        self.layers = nn.ModuleList(
            DilatedLayer(width, DILATIONS[i % len(DILATIONS)]) for i in range(depth)
        )
        self.norm = ChannelNorm(width)
        self.outer = nn.Conv1d(width, shape[0], 1)

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"mel"})

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        mel = (condition or {}).get("mel")
        if mel is None:
            mel = x.new_zeros(len(x), self.mels, x.shape[-1] // self.ratio)
        mel = mel.to(x.dtype).repeat_interleave(self.ratio, -1)
        time = F.silu(self.time(sinusoids(t, FEATURES, FASTEST).to(x.dtype)))
        hidden = self.inner(torch.cat([x, mel], 1))
        everywhere = torch.ones_like(x[:, :1])
        for layer in self.layers:
            hidden = layer(hidden, time, everywhere)
        velocity: Tensor = self.outer(self.norm(hidden))
        return velocity
