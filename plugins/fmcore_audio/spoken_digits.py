"""Spoken digits by a synthesizer: any number of them, without a download."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import DataError, generator_for
from fmcore_audio.sounds import resampled
from fmcore_audio.speech import Clip, SpeechData

__all__ = ["DIGITS", "SpokenDigits"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

LETTERS = "".join(sorted(set("".join(DIGITS)) | {" "}))

SHORTEST, LONGEST = 3, 5
"""Digits of one clip."""


@final
@dataclass(frozen=True)
class SpokenDigits(SpeechData):
    """`count` strings of 3 to 5 digits for training and `held_out` other ones, spoken in English by
    espeak-ng (the package espeakng-loader), and cut of silence at their ends.

    A function of (count, held_out, seed, rate) and of the version of espeak-ng.
    """

    count: Annotated[int, Gt(0)] = 400
    held_out: Annotated[int, Gt(0)] = 40
    seed: int = 0
    rate: Annotated[int, Gt(0)] = 16000
    max_seconds: Annotated[float, Gt(0)] = 2.5
    max_text: Annotated[int, Gt(0)] = 32
    symbols: str = LETTERS
    mean: float = -4.507
    std: Annotated[float, Gt(0)] = 2.122

    def clips(self) -> Sequence[Clip]:
        texts = digit_strings(self.count + self.held_out, self.seed)
        waves = _spoken(texts, self.rate)
        own = slice(self.count) if self.split == "train" else slice(self.count, None)
        return [
            Clip(text, len(wave), wave) for text, wave in zip(texts[own], waves[own], strict=True)
        ]


def digit_strings(count: int, seed: int) -> tuple[str, ...]:
    """Return `count` different strings of 3 to 5 digits, in words."""
    generator = generator_for(seed, "spoken_digits")
    found: dict[str, None] = {}
    while len(found) < count:
        size = int(torch.randint(SHORTEST, LONGEST + 1, (), generator=generator))
        digits = torch.randint(10, (size,), generator=generator).tolist()
        found[" ".join(DIGITS[digit] for digit in digits)] = None
    return tuple(found)


def phoneme_starts(texts: Sequence[str], rate: int) -> list[list[tuple[str, float]]]:
    """Return the phonemes of each text, as the dataset speaks it, with the sample at `rate` where
    each begins; the first begins at 0.

    The texts must be the dataset's first ones: what espeak-ng speaks depends on those before.
    """
    content = _espeak(texts, "phonemes")
    own = struct.unpack("<i", content[-4:])[0]
    found, place = [], 0
    for _ in texts:
        samples, place = _samples(content, place)
        (count,) = struct.unpack_from("<i", content, place)
        events = [
            struct.unpack_from("<i8s", content, place + 4 + 12 * i) for i in range(int(count))
        ]
        place += 4 + 12 * int(count)
        begin, end = _sounding(resampled(samples, own, rate))
        # pauses, whose names begin with _, are no phonemes
        named = ((raw.rstrip(b"\0").decode(), sample * rate / own) for sample, raw in events)
        inside = [(name, max(0.0, at - begin)) for name, at in named if name[0] != "_" and at < end]
        found.append([(inside[0][0], 0.0), *inside[1:]])
    return found


# datasets of equal options in one process share the sounds
@lru_cache(maxsize=4)
def _spoken(texts: tuple[str, ...], rate: int) -> tuple[Tensor, ...]:
    content = _espeak(texts)
    own = struct.unpack("<i", content[-4:])[0]
    waves, place = [], 0
    for _ in texts:
        samples, place = _samples(content, place)
        wave = resampled(samples, own, rate)
        waves.append(wave[slice(*_sounding(wave))].clone())
    return tuple(waves)


def _espeak(texts: Sequence[str], *words: str) -> bytes:
    """Return what the process of espeak-ng writes (see espeak_process.py)."""
    if importlib.util.find_spec("espeakng_loader") is None:
        raise DataError(
            "data 'spoken_digits' needs espeak-ng: pip install 'fmcore-flow[audio]' (it has no "
            "files; data.root is an option of data 'speech')"
        )
    program = Path(__file__).with_name("espeak_process.py")
    done = subprocess.run(
        [sys.executable, str(program), *words],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"espeak-ng failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def _samples(content: bytes, place: int) -> tuple[Tensor, int]:
    """Return the sound that begins at byte `place`, in [-1, 1], and the byte after it."""
    (size,) = struct.unpack_from("<i", content, place)
    samples = np.frombuffer(content, "<i2", size, place + 4)
    return torch.from_numpy(samples / 2**15), place + 4 + 2 * int(size)


def _sounding(wave: Tensor) -> tuple[int, int]:
    """Return the first sample above 1/100 of the peak, and the one after the last."""
    loud = (wave.abs() > wave.abs().max() / 100).nonzero()
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(wave))
