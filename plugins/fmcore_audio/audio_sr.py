"""Sounds and their low-passed copies: bandwidth extension of recordings."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, final

import numpy as np
import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError, ConditionSpec, DataError, Dataset, Decoded, Portrait
from fmcore_audio.griffin_lim import magnitudes
from fmcore_audio.mel import MelSpec
from fmcore_audio.sounds import read_sound, sound_length
from fmcore_audio.spectrogram_data import MULTIPLE, MelOptions, mel_portraits

__all__ = ["AudioSR", "band_of", "extended", "low_passed"]

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".g722")

ORDER, RIPPLE = 8, 0.05
"""The low-pass filter: Chebyshev of the first kind, with this ripple in dB."""

LOUDNESS = 0.05
"""The root-mean-square of the low-passed sound, to which both sounds are scaled by one gain."""

QUIETEST = 1e-3
"""Windows below this root-mean-square are silence, and are left out."""

HELD_OUT = 10
"""One file in so many is of the test split."""

ROUNDS = 32
"""Rounds of the search for the phases above the cutoff."""


@final
@dataclass(frozen=True)
class AudioSR(MelOptions, Dataset):
    """Windows of the sound files under `root`: `x1`, `(batch, mels, frames)`, is the spectrogram,
    and the condition `low`, of the same shape, that of the sound without what is above
    `low_rate` / 2 Hz.

    Both are scaled by one gain, which the low-passed sound decides.  Windows of `window` seconds
    follow one another; silent ones are left out.  One file in ten, by a hash of its name, is of the
    test split.  Conditions of one's own: `file`, a sound file of any length.

    Source: FLowHigh, Yun et al. 2025 (arXiv 2501.04926), with one filter for all.
    """

    root: Path = Path()
    low_rate: Annotated[int, Gt(0)] = 8000
    window: Annotated[float, Gt(0)] = 1.0
    rate: Annotated[int, Gt(0)] = 16000
    mels: Annotated[int, Gt(0)] = 64
    mean: float = -5.841
    std: Annotated[float, Gt(0)] = 2.203

    OWN: ClassVar[tuple[str, ...]] = ("file",)

    def __post_init__(self) -> None:
        if self.low_rate >= self.rate:
            raise ComponentError(
                f"data.low_rate is {self.low_rate}, and data.rate {self.rate}: it must be lower"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        frames = self.spec.frames(math.ceil(self.window * self.rate))
        return (self.mels, -(-frames // MULTIPLE) * MULTIPLE)

    @property
    def samples(self) -> int:
        """The number of samples of a window."""
        return self.shape[1] * self.hop

    @property
    def first_band(self) -> int:
        """The first mel band that is above the cutoff."""
        return band_of(self.spec, self.low_rate / 2)

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        return {"low": ConditionSpec(self.shape)}

    @property
    def takes(self) -> tuple[str, ...]:
        return self.OWN

    @cached_property
    def _windows(self) -> list[tuple[Path, int]]:
        """The file and the first sample of every window, silent ones too."""
        files = sorted(f for f in self.root.rglob("*") if f.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(
                f"{self.root} holds no sound files ({', '.join(SUFFIXES)}): set data.root=FOLDER"
            )
        own = [f for f in files if self._is_test(f) == (self.split == "test")]
        found = [
            (file, first)
            for file in own
            for first in range(0, sound_length(file, self.rate) - self.samples + 1, self.samples)
        ]
        if not found:
            raise DataError(
                f"no sound of split '{self.split}' in {self.root} lasts {self.window:g} s: set "
                "data.window"
            )
        return found

    def _is_test(self, file: Path) -> bool:
        name = file.relative_to(self.root).as_posix()
        return hashlib.blake2b(name.encode(), digest_size=4).digest()[0] % HELD_OUT == 0

    @cached_property
    def _examples(self) -> tuple[Tensor, Tensor]:
        """The spectrograms of all windows that are not silent, and those of the low-passed ones."""
        high, low = [], []
        before: Path | None = None
        for file, first in self._windows:
            if file != before:
                wave = read_sound(file, self.rate)
                dull, before = low_passed(wave, self.low_rate / 2, self.rate), file
            own = slice(first, first + self.samples)
            level = float(dull[own].square().mean().sqrt())
            if level < QUIETEST:
                continue
            high.append(self.normal(wave[own] * (LOUDNESS / level)))
            low.append(self.normal(dull[own] * (LOUDNESS / level)))
        if not high:
            raise DataError(f"every window of the sounds in {self.root} is silent: set data.root")
        return torch.stack(high), torch.stack(low)

    @property
    def length(self) -> int:
        return len(self._examples[0])

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=8)
        facts = (self.split, self.spec, self.mean, self.std, self.low_rate, self.shape)
        digest.update(repr(facts).encode())
        # of the files: the last bit of a spectrogram differs between machines
        for file in dict.fromkeys(file for file, _ in self._windows):
            digest.update(file.relative_to(self.root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        high, low = self._examples
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {"x1": high[rows], "low": low[rows]}

    def statistics(self) -> tuple[float, float]:
        """Return the mean and the standard deviation of log-mel values of this split: the numbers
        for the options `mean` and `std`.
        """
        values = self._examples[0].double() * self.std + self.mean
        return float(values.mean()), float(values.std())

    def encode(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Turn `file` into the spectrograms of its windows, which overlap by half, a row each."""
        if set(given) != {"file"}:
            return super().encode(given)
        dull, _ = self._opened(given["file"])
        rows = [self.normal(dull[first : first + self.samples]) for first in self._starts(dull)]
        return {"low": torch.stack(rows)}

    def _opened(self, name: Any) -> tuple[Tensor, float]:
        """Return the low-passed sound, scaled and padded to whole windows, and its gain."""
        try:
            wave = read_sound(Path(str(name)).expanduser(), self.rate)
        except DataError as error:
            raise ComponentError(f"condition 'file': {error}") from error
        dull = low_passed(wave, self.low_rate / 2, self.rate)
        gain = LOUDNESS / max(float(dull.square().mean().sqrt()), 1e-6)
        half = self.samples // 2
        steps = max(1, math.ceil((len(dull) - self.samples) / half) + 1)
        whole = (steps - 1) * half + self.samples
        return torch.nn.functional.pad(dull * gain, (0, whole - len(dull))), gain

    def _starts(self, wave: Tensor) -> range:
        return range(0, len(wave) - self.samples + 1, self.samples // 2)

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Decoded | None = None
    ) -> list[Portrait]:
        """Return the spectrogram of each sample, and its sound where the recipe has a codec."""
        captions = [f"above {self.low_rate // 2} Hz from below"] * len(x)
        return mel_portraits(self, x, condition, decoded, captions)

    def joined(
        self,
        x: Tensor,
        condition: Mapping[str, Tensor],
        decoded: Decoded | None,
        given: Mapping[str, Any],
    ) -> list[Portrait]:
        """Return the sound of the user's `file` with what the samples have above the cutoff.

        It has the length of the file, and its loudness below the cutoff.  Windows are cross-faded.
        """
        if "file" not in given:
            return self.portray(x, condition, decoded)
        file = Path(str(given["file"])).expanduser()
        dull, gain = self._opened(file)
        mel = crossfaded(x.float() * self.std + self.mean)
        wide = extended(self.spec, dull, mel, self.low_rate / 2, ROUNDS) / gain
        return [Portrait.sound(wide[: sound_length(file, self.rate)], self.rate)]


def low_passed(wave: Tensor, cutoff: float, rate: int) -> Tensor:
    """Return `wave`, `(samples,)`, without what is above `cutoff` Hz, and without delay."""
    from scipy.signal import cheby1, sosfiltfilt

    filters = cheby1(ORDER, RIPPLE, cutoff, output="sos", fs=rate)
    # shorter than what the filter reflects at the ends: zeros are added, and cut off again
    padded = np.pad(wave.double().numpy(), 200)
    return torch.from_numpy(sosfiltfilt(filters, padded)[200:-200].copy()).float()


def band_of(spec: MelSpec, cutoff: float) -> int:
    """Return the first mel band whose filter has nothing below `cutoff` Hz."""
    bins = math.ceil(cutoff * spec.n_fft / spec.rate)
    below = spec.filters[:, :bins].sum(1) > 0
    return int(below.sum())


def crossfaded(windows: Tensor) -> Tensor:
    """Join windows, `(rows, mels, frames)`, that overlap by half, to `(mels, frames)`: the weight
    of each rises and falls linearly.
    """
    rows, mels, frames = windows.shape
    half = frames // 2
    place = torch.arange(frames) + 0.5
    weight = torch.minimum(place, frames - place)
    total = windows.new_zeros(mels, (rows - 1) * half + frames)
    sums = windows.new_zeros(total.shape[1])
    for row in range(rows):
        own = slice(row * half, row * half + frames)
        total[:, own] += windows[row] * weight
        sums[own] += weight
    return total / sums


def extended(spec: MelSpec, low: Tensor, mel: Tensor, cutoff: float, rounds: int) -> Tensor:
    """Return the sound whose spectrum is that of `low`, `(samples,)`, up to `cutoff` Hz, and has
    the magnitudes of `mel`, `(mels, frames)` of log values, above.

    The phases above are those of `rounds` rounds of the Griffin-Lim algorithm (1984) in which the
    spectrum below is kept.
    """
    known = spec.spectrum(low)
    bins = torch.arange(known.shape[0])[:, None] * spec.rate / spec.n_fft < cutoff
    wanted = magnitudes(spec, mel.clamp(max=10.0).exp()[None], 60)[0]
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(known.shape, generator=generator) * (2 * torch.pi)
    spectrum = torch.where(bins, known, torch.polar(wanted, angle))
    for _ in range(rounds):
        found = spec.spectrum(spec.sound(spectrum))
        spectrum = torch.where(bins, known, torch.polar(wanted, found.angle()))
    return spec.sound(spectrum)
