"""What datasets of spectrograms share: the settings, the padding and the pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import Dataset, Decoded, Portrait
from fmcore_audio.mel import MelSpec

__all__ = ["MULTIPLE", "SHOWN", "MelOptions", "mel_picture"]

MULTIPLE = 4
"""Padded lengths are multiples of it, for networks that halve the resolution twice."""

SHOWN = 16
"""Samples that are shown, each by a picture and a sound."""


@dataclass(frozen=True)
class MelOptions:
    """The options of log-mel spectrograms (see `MelSpec`), which are stored as (mel - mean) / std.

    `mean` and `std` are numbers of the data, natural logarithms; the defaults are those of LJ
    Speech.
    """

    rate: Annotated[int, Gt(0)] = 22050
    n_fft: Annotated[int, Gt(0)] = 1024
    hop: Annotated[int, Gt(0)] = 256
    mels: Annotated[int, Gt(0)] = 80
    f_min: Annotated[float, Ge(0)] = 0.0
    f_max: Annotated[float, Gt(0)] = 8000.0
    mean: float = -5.536622
    std: Annotated[float, Gt(0)] = 2.116101

    @cached_property
    def spec(self) -> MelSpec:
        """The settings of the spectrogram."""
        return MelSpec(self.rate, self.n_fft, self.hop, self.mels, self.f_min, self.f_max)

    def normal(self, wave: Tensor) -> Tensor:
        """Return the spectrogram of `wave`, `(samples,)`, as the network sees it, `(mels,
        frames)`.
        """
        return (self.spec.mel(wave) - self.mean) / self.std


def mel_picture(mel: Tensor, caption: str = "") -> Portrait:
    """Return a PNG of a spectrogram, `(mels, frames)`: low frequencies below, loud bright."""
    from matplotlib import colormaps
    from PIL import Image

    low, high = torch.quantile(mel.float().flatten()[:100_000], torch.tensor([0.02, 0.999]))
    levels = ((mel.float() - low) / (high - low).clamp_min(1e-6)).clamp(0, 1).flip(0)
    pixels = (np.asarray(colormaps["magma"](levels.numpy()))[..., :3] * 255).astype(np.uint8)
    pixels = pixels.repeat(2, axis=0).repeat(2, axis=1)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return Portrait(file.getvalue(), "png", caption)


def mel_portraits(
    data: Dataset,
    x: Tensor,
    condition: Mapping[str, Tensor],
    decoded: Decoded | None,
    captions: list[str],
) -> list[Portrait]:
    """Return the picture of each spectrogram `x`, `(batch, mels, frames)`, and its sound."""
    found: list[Portrait] = []
    mask = condition.get("mask")
    for i in range(min(len(x), SHOWN)):
        frames = x.shape[-1] if mask is None else max(1, int(mask[i].sum()))
        found.append(mel_picture(x[i, :, :frames], captions[i]))
        if decoded is not None and decoded.rate is not None:
            whole = decoded.values.shape[-1] if decoded.lengths is None else decoded.lengths[i]
            sound = decoded.values[i, ..., : int(whole)]
            found.append(Portrait.sound(sound, decoded.rate, captions[i]))
    return found
