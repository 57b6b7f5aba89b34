"""Sounds of log-mel spectrograms, without a trained vocoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from fmcore_audio.mel import MelSpec
from fmcore_audio.mel_decoder import MelDecoder

__all__ = ["GriffinLim", "magnitudes", "with_phase"]

PHASE_ROUNDS, MOMENTUM = 32, 0.99
"""Rounds and momentum of the search for phases, by default."""

LOUDEST = 0.99
"""Sounds above it are scaled down to it, since files clip at 1."""


@final
@dataclass(frozen=True)
class GriffinLim(MelDecoder):
    """Decodes spectrograms, `(batch, mels, frames)`, normalised as the data's, to sounds.

    Magnitudes are the non-negative least-squares solution of the mel filters, by `inversions`
    multiplicative updates (Lee and Seung 2001).  Phases are found in `rounds` rounds of the fast
    Griffin-Lim algorithm (Perraudin et al. 2013) with `momentum`, from fixed random ones.  Frames
    outside the condition's `mask` are silent and not counted in `lengths`.  The options of the
    spectrogram must be those of the data: in a recipe, `rate: ${data.rate}`.
    """

    rounds: Annotated[int, Gt(0)] = PHASE_ROUNDS
    inversions: Annotated[int, Gt(0)] = 60
    momentum: Annotated[float, Ge(0), Lt(1)] = MOMENTUM

    def sound(self, x: Tensor, exists: Tensor) -> Tensor:
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
