"""What the codecs that turn log-mel spectrograms into sounds share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fmcore import Codec, Condition, Decoded
from fmcore_audio.spectrogram_data import MelOptions

__all__ = ["MelDecoder"]


@dataclass(frozen=True)
class MelDecoder(MelOptions, Codec):
    """Decodes spectrograms, `(batch, mels, frames)`, normalised as the data's, to sounds, `(batch,
    frames * hop)`.

    Frames outside the condition's `mask` are silent and not counted in `lengths`.
    """

    encodes: ClassVar[bool] = False

    CHUNK: ClassVar[int] = 16
    """Rows decoded at once: their spectra are several times larger than the states."""

    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        mask = (condition or {}).get("mask")
        exists = x.new_ones(len(x), 1, x.shape[-1]) if mask is None else mask.to(x)
        size = self.CHUNK
        with torch.no_grad():
            parts = [
                self.sound(x[i : i + size].float(), exists[i : i + size].float())
                for i in range(0, len(x), size)
            ]
        lengths = (exists.sum((1, 2)) * self.hop).long()
        empty = x.new_zeros(0, x.shape[-1] * self.hop)
        return Decoded(torch.cat(parts) if parts else empty, self.rate, lengths)

    @abstractmethod
    def sound(self, x: Tensor, exists: Tensor) -> Tensor:
        """Return the sounds of float32 spectrograms, silent where `exists`, `(batch, 1, frames)`,
        is 0.
        """
