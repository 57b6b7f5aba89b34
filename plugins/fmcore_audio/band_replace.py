"""Sounds whose band below the cutoff is that of the input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import Codec, ComponentError, Condition, Decoded
from fmcore_audio.mel import MelSpec

__all__ = ["BandReplace"]

OVERLAP = 4
"""Frames that cover each sample."""


@final
@dataclass(frozen=True)
class BandReplace(Codec):
    """Decodes by the codec `of`, and replaces the spectrum below the cutoff by that of the input.

    The condition gives the input, `sound`, `(batch, samples)`, and the `cutoff` in Hz, `(batch,)`,
    as data `audio_sr` do.  The complex bins of `n_fft` samples below the cutoff are the input's,
    and so are the length and the loudness.

    Source: the post-processing of NVSR (Liu et al. 2022) and FLowHigh (Yun et al. 2025), without
    their normalisation of the peak.
    """

    encodes: ClassVar[bool] = False

    of: Codec
    n_fft: Annotated[int, Gt(0)] = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of.encodes:
            raise ComponentError(
                f"codec 'band_replace': of is {type(self.of).__name__}, which makes no sound: name "
                "a codec of spectrograms, such as griffin_lim"
            )
        if self.n_fft % (2 * OVERLAP):
            raise ComponentError(f"codec 'band_replace': n_fft is {self.n_fft}: use a power of 2")

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"sound", "cutoff"}) | self.of.reads

    @property
    def fingerprint(self) -> str:
        facts = f"band_replace {self.n_fft} {self.of.fingerprint}"
        return hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.of.shape(shape)

    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        given = condition or {}
        if not {"sound", "cutoff"} <= given.keys():
            raise ComponentError(
                "codec 'band_replace' reads the conditions sound and cutoff: use data 'audio_sr'"
            )
        decoded = self.of.decode(x, condition)
        sound = given["sound"].to(decoded.values)
        if decoded.rate is None or decoded.values.shape != sound.shape:
            raise ComponentError(
                f"codec 'band_replace': of decodes to {tuple(decoded.values.shape)}, and the "
                f"sounds are {tuple(sound.shape)}: give both the data's hop and rate"
            )
        hop = self.n_fft // OVERLAP
        spec = MelSpec(decoded.rate, self.n_fft, hop, 1, 0.0, decoded.rate / 2)
        hertz = torch.arange(self.n_fft // 2 + 1, device=sound.device) * decoded.rate / self.n_fft
        below = hertz < given["cutoff"].to(sound)[:, None]
        # a whole number of hops, so that the sound has the length of the input
        extra = -sound.shape[-1] % hop
        own, made = (
            spec.spectrum(torch.nn.functional.pad(wave, (0, extra)))
            for wave in (sound, decoded.values)
        )
        replaced = torch.where(below[..., None], own, made)
        return Decoded(spec.sound(replaced)[:, : sound.shape[-1]], decoded.rate, decoded.lengths)
