"""Complex spectra of recordings and their log-mel spectrograms: the data of a vocoder."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, final

import torch
from annotated_types import Gt, Le
from torch import Tensor

from fmcore import ComponentError, ConditionSpec, DataError, Dataset, Decoded, Portrait
from fmcore_audio.griffin_lim import MOMENTUM, PHASE_ROUNDS, with_phase
from fmcore_audio.mel import MelSpec
from fmcore_audio.spectrogram_data import mel_portraits
from fmcore_audio.speech import Clip, SpeechData

__all__ = ["Spectra", "as_channels", "from_channels"]


@final
@dataclass(frozen=True)
class Spectra(Dataset):
    """Windows of the recordings of `of`, data of speech: `x1`, `(batch, 2 bins, frames)`, is the
    complex spectrum, real parts first, and the condition `mel`, `(batch, mels, mel frames)`, the
    spectrogram as `of` gives it.

    Frames of `n_fft` samples, `hop` apart, which divides the hop of `of`.  A magnitude m is stored
    as `scale` m^`power`, its phase unchanged, so that quiet bins count in the loss.  Windows last
    `window` seconds, follow one another, and the last one of a recording is padded with silence.

    With `phases` false `x1` is the magnitudes alone, `(batch, bins, frames)`, of the frames of the
    spectrogram: `n_fft` and `hop` must be those of `of`.  Griffin-Lim finds the phases of sounds.
    """

    of: Dataset
    n_fft: Annotated[int, Gt(0)] = 512
    hop: Annotated[int, Gt(0)] = 128
    power: Annotated[float, Gt(0), Le(1)] = 0.3
    scale: Annotated[float, Gt(0)] = 2.5
    window: Annotated[float, Gt(0)] = 0.5
    phases: bool = True

    def __post_init__(self) -> None:
        of = self.of
        if not isinstance(of, SpeechData):
            raise ComponentError(
                f"data.of is {type(of).__name__}: data 'spectra' needs recordings of speech, such "
                "as {name: spoken_digits}"
            )
        if of.hop % self.hop:
            raise ComponentError(
                f"data.hop is {self.hop}: it must divide the hop of data.of, {of.hop}"
            )
        if not self.phases and (self.n_fft, self.hop) != (of.n_fft, of.hop):
            raise ComponentError(
                "data.phases false: the magnitudes are those of the frames of data.of: set "
                f"data.n_fft: {of.n_fft} and data.hop: {of.hop}"
            )

    @property
    def speech(self) -> SpeechData:
        """The recordings of this split."""
        assert isinstance(self.of, SpeechData)
        return self.of.with_split(self.split)

    @cached_property
    def spec(self) -> MelSpec:
        """The settings of the complex spectrum; its mel filters are not used."""
        rate = self.speech.rate
        return MelSpec(rate, self.n_fft, self.hop, 1, 0.0, rate / 2)

    @property
    def mel_frames(self) -> int:
        """The number of frames of a window's mel spectrogram."""
        return self.speech.spec.frames(math.ceil(self.window * self.speech.rate))

    @property
    def samples(self) -> int:
        """The number of samples of a window."""
        return self.mel_frames * self.speech.hop

    @property
    def shape(self) -> tuple[int, ...]:
        return ((1 + self.phases) * (self.n_fft // 2 + 1), self.samples // self.hop)

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        return {"mel": ConditionSpec((self.speech.mels, self.mel_frames))}

    @cached_property
    def _clips(self) -> list[Clip]:
        clips = list(self.speech.clips())
        if not clips:
            raise DataError(f"data.of has no recording of split '{self.split}'")
        return clips

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """The clip and the first sample of every window."""
        return [
            (index, first)
            for index, clip in enumerate(self._clips)
            for first in range(0, max(1, clip.samples), self.samples)
        ]

    @cached_property
    def _examples(self) -> tuple[Tensor, Tensor]:
        waves = [clip.wave(self.speech.rate) for clip in self._clips]
        windows = [waves[index][first : first + self.samples] for index, first in self._places]
        padded = [torch.nn.functional.pad(w, (0, self.samples - len(w))) for w in windows]
        return torch.stack([self.channels(w) for w in padded]), torch.stack(
            [self.speech.normal(w) for w in padded]
        )

    @property
    def length(self) -> int:
        return len(self._places)

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(self.speech.fingerprint.encode(), digest_size=8)
        digest.update(repr((self.spec, self.power, self.scale, self.shape)).encode())
        return digest.hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        spectra, mels = self._examples
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {"x1": spectra[rows], "mel": mels[rows]}

    def channels(self, wave: Tensor) -> Tensor:
        """Return the stored spectrum of `wave`, `(samples,)`."""
        spectrum = self.spec.spectrum(wave)
        if self.phases:
            return as_channels(spectrum, self.power) * self.scale
        return spectrum.abs() ** self.power * self.scale

    def sound(self, x: Tensor) -> Tensor:
        """Return the sounds, `(batch, frames hop)`, of stored spectra, `(batch, channels,
        frames)`.
        """
        if self.phases:
            return self.spec.sound(from_channels(x.float() / self.scale, self.power))
        return self.with_phases(self.magnitudes(x))

    def magnitudes(self, x: Tensor) -> Tensor:
        """Return the magnitudes, `(batch, bins, frames)`, of stored spectra without phases."""
        return (x.float() / self.scale).clamp_min(0) ** (1 / self.power)

    def with_phases(self, magnitudes: Tensor) -> Tensor:
        """Return the sounds, `(batch, frames hop)`, of magnitudes."""
        return with_phase(self.spec, magnitudes, PHASE_ROUNDS, MOMENTUM)

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Decoded | None = None
    ) -> list[Portrait]:
        """Return the log-mel spectrogram and the sound of each sample."""
        sounds = Decoded(self.sound(x).clamp(-1, 1), self.speech.rate)
        mels = self.speech.normal(sounds.values)
        return mel_portraits(self, mels, {}, sounds, [""] * len(x))


def as_channels(spectrum: Tensor, power: float) -> Tensor:
    """Return complex values, `(..., bins, frames)`, as `(..., 2 bins, frames)` real ones, their
    magnitudes raised to `power`.
    """
    magnitude = spectrum.abs().clamp_min(1e-9)  # the phase of 0 is undefined
    packed = spectrum * magnitude ** (power - 1)
    return torch.cat([packed.real, packed.imag], -2)


def from_channels(channels: Tensor, power: float) -> Tensor:
    """Return the complex values of `as_channels`."""
    real, imaginary = channels.chunk(2, -2)
    packed = torch.complex(real, imaginary)
    return packed * packed.abs().clamp_min(1e-9) ** (1 / power - 1)
