"""Sounds and their low-passed copies: bandwidth extension of recordings."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import (
    ComponentError,
    ConditionSpec,
    DataError,
    Dataset,
    Decoded,
    FmcoreWarning,
    Portrait,
    generator_for,
)
from fmcore_audio.low_pass import LowPass
from fmcore_audio.mel import MelSpec
from fmcore_audio.sound_windows import SoundWindows
from fmcore_audio.sounds import read_channels, read_sound, sound_length, sound_rate
from fmcore_audio.spectrogram_data import MULTIPLE, MelOptions, mel_portraits

__all__ = ["AudioSR", "NarrowSound", "band_of"]

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".g722")

LOUDNESS = 0.05
"""The root-mean-square of the low-passed sound, to which both sounds are scaled by one gain."""

QUIETEST = 1e-3
"""Windows below this root-mean-square are silence: not trained on, and not extended."""

HELD_OUT = 10
"""One file in so many is of the test split."""

KEPT = 4096
"""Examples held in memory."""

CHANGED = 0.5
"""A codec that changes the band below the cutoff by more than this share does not replace it."""

Example = dict[str, Tensor]


@final
@dataclass(frozen=True)
class AudioSR(MelOptions, Dataset):
    """Windows of the sound files under `root`: `x1`, `(batch, mels, frames)`, is the spectrogram.

    Conditions: `low`, of the same shape, the spectrogram of the sound without what is above the
    cutoff; `sound`, `(batch, samples)`, that sound; `cutoff`, `(batch,)`, `low_rate` / 2 Hz.  One
    gain scales both sounds, so that the low-passed one has a root-mean-square of 0.05.

    Windows of `window` seconds follow one another; silent ones are left out, and files whose own
    rate is below `rate`, since they have nothing to learn from.  One file in ten, by a hash of its
    name, is of the test split; with `held_out`, the files that match one of these names.  Files
    that match a name of `leave_out` are not used.  A name is that of the file, with or without its
    suffix, or of a folder above it, and may have * and ?.

    With `low_rates`, the lowest and the highest, each training window is low-passed by `variants`
    random filters (see `LowPass.random`); test windows by the filter of `low_rate`.

    A sample's own `file` is a sound file of any length and number of channels, and `low_rate` the
    rate whose band it has, where it is lower than the file's own.

    Source: FLowHigh, Yun et al. 2025 (arXiv 2501.04926).
    """

    root: Path = Path()
    low_rate: Annotated[int, Gt(0)] = 8000
    low_rates: tuple[int, int] | None = None
    variants: Annotated[int, Gt(0)] = 1
    leave_out: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    window: Annotated[float, Gt(0)] = 1.0
    rate: Annotated[int, Gt(0)] = 16000
    mels: Annotated[int, Gt(0)] = 64
    mean: float = -5.841
    std: Annotated[float, Gt(0)] = 2.203

    OWN: ClassVar[tuple[str, ...]] = ("file", "low_rate")

    def __post_init__(self) -> None:
        if self.low_rate >= self.rate:
            raise ComponentError(
                f"data.low_rate is {self.low_rate}, and data.rate {self.rate}: it must be lower"
            )
        lowest, highest = self.low_rates or (self.low_rate, self.low_rate)
        if not 0 < lowest <= self.low_rate <= highest < self.rate:
            raise ComponentError(
                f"data.low_rates is from {lowest} to {highest}: data.low_rate, {self.low_rate}, "
                f"must be between them, and data.rate, {self.rate}, above"
            )
        if self.variants > 1 and self.low_rates is None:
            raise ComponentError("data.variants are of random filters: set data.low_rates")

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
        return {
            "low": ConditionSpec(self.shape),
            "sound": ConditionSpec((self.samples,)),
            "cutoff": ConditionSpec(()),
        }

    @property
    def takes(self) -> tuple[str, ...]:
        return self.OWN

    @cached_property
    def _files(self) -> list[Path]:
        """The files of this split."""
        files = sorted(f for f in self.root.rglob("*") if f.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(
                f"{self.root} holds no sound files ({', '.join(SUFFIXES)}): set data.root=FOLDER"
            )
        wide = [f for f in files if sound_rate(f) >= self.rate]
        if not wide:
            best = max(map(sound_rate, files))
            raise DataError(
                f"the sounds in {self.root} have at most {best} samples per second, and data.rate "
                f"is {self.rate}: set data.rate={best} or lower"
            )
        used = [f for f in wide if not self._has_name(f, self.leave_out)]
        own = [f for f in used if self._is_test(f) == (self.split == "test")]
        if not own:
            raise DataError(
                f"{self.root} holds no sound file of split '{self.split}': one file in {HELD_OUT} "
                "is of the test split, or those with a name of data.held_out"
            )
        return own

    def _has_name(self, file: Path, names: Sequence[str]) -> bool:
        place = file.relative_to(self.root)
        return any(fnmatchcase(x, name) for x in (*place.parts, place.stem) for name in names)

    def _is_test(self, file: Path) -> bool:
        if self.held_out:
            return self._has_name(file, self.held_out)
        name = file.relative_to(self.root).as_posix()
        return hashlib.blake2b(name.encode(), digest_size=4).digest()[0] % HELD_OUT == 0

    @cached_property
    def _windows(self) -> list[tuple[Path, int]]:
        """The file and the first sample of every window that is not silent."""
        found = [
            (file, first)
            for file in self._files
            for first in range(0, sound_length(file, self.rate) - self.samples + 1, self.samples)
        ]
        if not found:
            raise DataError(
                f"no sound of split '{self.split}' in {self.root} lasts {self.window:g} s: set "
                "data.window"
            )
        # each file is read once: the examples of its windows are kept here
        loud = [place for file in dict.fromkeys(f for f, _ in found) for place in self._loud(file)]
        if not loud:
            raise DataError(f"every window of the sounds in {self.root} is silent: set data.root")
        return loud

    def _loud(self, file: Path) -> Iterator[tuple[Path, int]]:
        wave = read_sound(file, self.rate)
        dull = self._fixed_filter(wave, self.rate)
        for first in range(0, len(wave) - self.samples + 1, self.samples):
            own = slice(first, first + self.samples)
            if float(dull[own].square().mean().sqrt()) >= QUIETEST:
                self._keep((file, first), wave, dull)
                yield file, first

    def _keep(self, place: tuple[Path, int], wave: Tensor, dull: Tensor) -> None:
        if len(self._kept) + self.variants <= KEPT:
            for variant in range(self.variants):
                self._kept[*place, variant] = self._made(place, variant, wave, dull)

    @cached_property
    def _kept(self) -> dict[tuple[Path, int, int], Example]:
        return {}

    @property
    def _fixed_filter(self) -> LowPass:
        return LowPass(self.low_rate / 2)

    def _made(
        self, place: tuple[Path, int], variant: int, wave: Tensor, dull: Tensor | None
    ) -> Example:
        """Return one example of the sound `wave`; `dull` is low-passed by the fixed filter."""
        file, first = place
        chosen = self._fixed_filter
        if self.low_rates is not None and self.split == "train":
            # by the name, not the index: the filter does not depend on other files
            name = f"{file.relative_to(self.root).as_posix()} {first} {variant}".encode()
            seed = int.from_bytes(hashlib.blake2b(name, digest_size=6).digest(), "big")
            chosen = LowPass.random(*self.low_rates, generator_for(0, "audio_sr", seed))
            dull = None
        low = chosen(wave, self.rate) if dull is None else dull
        own = slice(first, first + self.samples)
        # a random filter may leave almost nothing of a window that is not silent
        gain = LOUDNESS / max(float(low[own].square().mean().sqrt()), QUIETEST / 10)
        return {
            "x1": self.normal(wave[own] * gain),
            "low": self.normal(low[own] * gain),
            "sound": low[own] * gain,
            "cutoff": torch.tensor(chosen.cutoff),
        }

    def _example(self, index: int) -> Example:
        place, variant = self._windows[index // self.variants], index % self.variants
        if (*place, variant) in self._kept:
            return self._kept[*place, variant]
        return self._made(place, variant, read_sound(place[0], self.rate), None)

    @property
    def length(self) -> int:
        return len(self._windows) * self.variants

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=8)
        facts = (self.split, self.spec, self.mean, self.std, self.low_rate, self.shape)
        digest.update(repr((facts, self.low_rates, self.variants)).encode())
        # of the files: the last bit of a spectrogram differs between machines
        for file in dict.fromkeys(file for file, _ in self._windows):
            digest.update(file.relative_to(self.root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        rows = [self._example(index) for index in indices]
        shapes = {"x1": self.shape} | {k: v.shape for k, v in self.entries.items()}
        return {
            name: torch.stack([row[name] for row in rows]) if rows else torch.empty(0, *shape)
            for name, shape in shapes.items()
        }

    def wide_sound(self, index: int) -> Tensor:
        """Return the sound of example `index`, `(samples,)`, scaled as its low-passed copy."""
        file, first = self._windows[index // self.variants]
        wave = read_sound(file, self.rate)
        own = slice(first, first + self.samples)
        low = self._fixed_filter(wave, self.rate)[own]
        return wave[own] * (LOUDNESS / float(low.square().mean().sqrt()))

    def statistics(self) -> tuple[float, float]:
        """Return the mean and the standard deviation of log-mel values of this split: the numbers
        for the options `mean` and `std`.
        """
        values = torch.cat([self._example(i)["x1"].flatten() for i in range(self.length)]).double()
        values = values * self.std + self.mean
        return float(values.mean()), float(values.std())

    def encode(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Turn `file` into its windows, which overlap by half: a row for each of each channel."""
        if "file" not in given or set(given) - set(self.OWN):
            unknown = {k: v for k, v in given.items() if k not in self.OWN}
            if unknown:
                super().encode(unknown)
            raise ComponentError("AudioSR takes the condition 'file', a sound file: it is missing")
        sound = self.opened(given)
        rows = sound.rows
        mels = [self.normal(row) for row in rows]
        return {
            "low": torch.stack(mels),
            "sound": rows,
            "cutoff": torch.full((len(rows),), sound.cutoff),
        }

    def opened(self, given: Mapping[str, Any]) -> NarrowSound:
        """Return the user's sound `file` at the data's rate, low-passed.

        Raises ComponentError for a file that cannot be read, and for one of too low a rate.
        """
        file = Path(str(given["file"])).expanduser()
        try:
            own, wave = sound_rate(file), read_channels(file, self.rate)
        except DataError as error:
            raise ComponentError(f"condition 'file': {error}") from error
        cutoff = self._low_rate_of(file, own, given.get("low_rate")) / 2
        low = LowPass(cutoff)(wave, self.rate)
        return NarrowSound(low, self.rate, cutoff, SoundWindows(self.samples))

    def _low_rate_of(self, file: Path, own: int, given: Any) -> int:
        """Return the rate whose band the file has."""
        lowest, highest = self.low_rates or (self.low_rate, self.low_rate)
        if given is not None and (
            not isinstance(given, int) or not lowest <= given <= min(highest, own)
        ):
            raise ComponentError(
                f"condition 'low_rate' is {given!r}: this network extends sounds of "
                f"{_range(lowest, highest)} samples per second, and {file} has {own}"
            )
        if own < lowest:
            raise ComponentError(
                f"condition 'file': {file} has {own} samples per second, and this network extends "
                f"sounds of {_range(lowest, highest)}: train one with data.low_rate={own}"
            )
        return given or min(own, highest)

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Decoded | None = None
    ) -> list[Portrait]:
        """Return the spectrogram of each sample, and its sound where the recipe has a codec."""
        cutoffs = condition.get("cutoff", torch.full((len(x),), self.low_rate / 2))
        captions = [f"above {cutoff:.0f} Hz from below" for cutoff in cutoffs.tolist()]
        return mel_portraits(self, x, condition, decoded, captions)

    def joined(
        self,
        x: Tensor,
        condition: Mapping[str, Tensor],
        decoded: Decoded | None,
        given: Mapping[str, Any],
    ) -> list[Portrait]:
        """Return the sound of the user's `file` with what the samples have above the cutoff.

        It has the length, the channels and, below the cutoff, the loudness of the file.
        """
        if "file" not in given or decoded is None:
            return self.portray(x, condition, decoded)
        sound = self.opened(given)
        wide = sound.extended(decoded.values)
        _warn_of_clipping(wide)
        return [Portrait.sound(wide, self.rate)]


@final
@dataclass(frozen=True)
class NarrowSound:
    """A sound, `wave`, `(channels, samples)`, without what is above `cutoff` Hz."""

    wave: Tensor
    rate: int
    cutoff: float
    windows: SoundWindows

    @cached_property
    def gains(self) -> Tensor:
        """The gain of each row, `(rows,)`: 0 for silent ones."""
        level = self.windows.cut(self.wave).square().mean(1).sqrt()
        return torch.where(level < QUIETEST, 0.0, LOUDNESS / level.clamp_min(QUIETEST))

    @property
    def rows(self) -> Tensor:
        """The windows of each channel, `(rows, samples)`, each scaled to the same loudness."""
        return self.windows.cut(self.wave) * self.gains[:, None]

    def extended(self, rows: Tensor) -> Tensor:
        """Return the sound with what decoded windows, `(rows, samples)`, have above the cutoff.

        Raises ComponentError where they do not have the sound's band below the cutoff.
        """
        own, gains = self.rows, self.gains[:, None]
        # silent windows have no gain, and nothing above
        above = torch.where(gains > 0, rows.cpu() - own, 0.0)
        if float(LowPass(self.cutoff * 0.8)(above, self.rate).norm()) > CHANGED * float(own.norm()):
            raise ComponentError(
                "the codec changes the band below the cutoff: use codec 'band_replace'"
            )
        return self.wave + self.windows.joined(above / gains.clamp_min(1e-9), *self.wave.shape)


def band_of(spec: MelSpec, cutoff: float) -> int:
    """Return the first mel band whose filter has nothing below `cutoff` Hz."""
    bins = math.ceil(cutoff * spec.n_fft / spec.rate)
    below = spec.filters[:, :bins].sum(1) > 0
    return int(below.sum())


def _range(lowest: int, highest: int) -> str:
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def _warn_of_clipping(sound: Tensor) -> None:
    clipped = int((sound.abs() > 1).sum())
    if clipped:
        warnings.warn(
            f"{clipped} of {sound.numel()} values are above 1 and are clipped: the input is loud; "
            "halve its volume to keep them",
            FmcoreWarning,
            stacklevel=2,
        )
