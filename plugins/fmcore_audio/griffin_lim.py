"""Sounds of log-mel spectrograms, without a trained vocoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from fmcore import Codec, Condition, Decoded
from fmcore_audio.mel import MelSpec
from fmcore_audio.spectrogram_data import MelOptions

__all__ = ["GriffinLim", "magnitudes", "with_phase"]

LOUDEST = 0.99
"""Sounds above it are scaled down to it, since files clip at 1."""

CHUNK = 16
"""Rows decoded at once: their spectra are several times larger than the states."""


@final
@dataclass(frozen=True)
class GriffinLim(MelOptions, Codec):
    """Decodes spectrograms, `(batch, mels, frames)`, normalised as the data's, to sounds.

    Magnitudes are the non-negative least-squares solution of the mel filters, by `inversions`
    multiplicative updates (Lee and Seung 2001).  Phases are found in `rounds` rounds of the fast
    Griffin-Lim algorithm (Perraudin et al. 2013) with `momentum`, from fixed random ones.  Frames
    outside the condition's `mask` are silent and not counted in `lengths`.  The options of the
    spectrogram must be those of the data: in a recipe, `rate: ${data.rate}`.
    """

    encodes: ClassVar[bool] = False

    rounds: Annotated[int, Gt(0)] = 32
    inversions: Annotated[int, Gt(0)] = 60
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.99

    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        mask = (condition or {}).get("mask")
        exists = x.new_ones(len(x), 1, x.shape[-1]) if mask is None else mask.to(x)
        with torch.no_grad():
            parts = [
                self._sound(x[i : i + CHUNK].float(), exists[i : i + CHUNK].float())
                for i in range(0, len(x), CHUNK)
            ]
        lengths = (exists.sum((1, 2)) * self.hop).long()
        empty = x.new_zeros(0, x.shape[-1] * self.hop)
        return Decoded(torch.cat(parts) if parts else empty, self.rate, lengths)

    def _sound(self, x: Tensor, exists: Tensor) -> Tensor:
        mel = (x * self.std + self.mean).clamp(max=10.0).exp()
        found = magnitudes(self.spec, mel, self.inversions) * exists
        wave = with_phase(self.spec, found, self.rounds, self.momentum)
        wave = wave * exists[:, 0].repeat_interleave(self.hop, 1)
        peak = wave.abs().amax(1, keepdim=True)
        return wave * (LOUDEST / peak.clamp_min(LOUDEST))


def magnitudes(spec: MelSpec, mel: Tensor, updates: int) -> Tensor:
    """Return non-negative magnitudes, `(batch, n_fft / 2 + 1, frames)`, whose mel spectrogram is
    nearest to `mel`, `(batch, mels, frames)`, linear.
    """
    filters = spec.filters.to(mel)
    back, gram = filters.T @ mel, filters.T @ filters
    # Every bin begins at the mean level of the filters that cover it.  A bin at the edge of a
    # filter would otherwise begin, and stay, far too large.
    levels = mel / filters.sum(1)[:, None]
    found = filters.T @ levels / filters.sum(0)[:, None].clamp_min(1e-12)
    for _ in range(updates):
        found = found * back / (gram @ found).clamp_min(1e-12)
    return found


def with_phase(spec: MelSpec, magnitude: Tensor, rounds: int, momentum: float) -> Tensor:
    """Return sounds, `(batch, frames hop)`, whose spectrum has nearly these magnitudes."""
    # the same first phases for every row, which then does not depend on its neighbours; those of a
    # frame do not depend on the number of frames
    generator = torch.Generator().manual_seed(0)
    _, bins, frames = magnitude.shape
    angle = torch.rand(frames, bins, generator=generator).T.to(magnitude) * (2 * torch.pi)
    phase = torch.polar(torch.ones_like(angle), angle).expand(len(magnitude), bins, frames)
    before = torch.zeros_like(phase)
    for _ in range(rounds):
        now = spec.spectrum(spec.sound(magnitude * phase))
        ahead = now + momentum * (now - before)
        phase, before = ahead / ahead.abs().clamp_min(1e-12), now
    return spec.sound(magnitude * phase)
