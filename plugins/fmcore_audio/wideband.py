"""A small network for bandwidth extension, for a few minutes of training on a CPU."""

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

__all__ = ["Wideband"]

NO_ENTRIES: Mapping[str, ConditionSpec] = {}


@final
class Wideband(VectorField):
    """`depth` residual convolutions of `width` channels over dilated frames, on the state and the
    condition `low`, a spectrogram of the same shape.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        width: Annotated[int, Gt(0)] = 96,
        depth: Annotated[int, Gt(0)] = 6,
    ) -> None:
        super().__init__()
        if len(shape) != 2 or "low" not in entries:
            raise ComponentError(
                "model 'wideband' needs spectrograms (mels, frames) with the condition low, as of "
                f"data 'audio_sr'; the data have shape {tuple(shape)} and the conditions "
                f"{', '.join(entries) or 'none'}"
            )
        self.time = nn.Sequential(nn.Linear(FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.inner = nn.Conv1d(2 * shape[0], width, 1)
        self.layers = nn.ModuleList(
            DilatedLayer(width, DILATIONS[i % len(DILATIONS)]) for i in range(depth)
        )
        self.norm = ChannelNorm(width)
        self.outer = nn.Conv1d(width, shape[0], 1)

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"low"})

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        low = (condition or {}).get("low")
        low = torch.zeros_like(x) if low is None else low.to(x.dtype)
        time = F.silu(self.time(sinusoids(t, FEATURES, FASTEST).to(x.dtype)))
        hidden = self.inner(torch.cat([x, low], 1))
        everywhere = torch.ones_like(x[:, :1])
        for layer in self.layers:
            hidden = layer(hidden, time, everywhere)
        velocity: Tensor = self.outer(self.norm(hidden))
        return velocity
