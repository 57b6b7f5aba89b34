"""Sound files, read as mono float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fmcore import DataError

__all__ = ["read_channels", "read_sound", "resampled", "sound_length", "sound_rate"]

G722 = ".g722"
"""The suffix of files of ITU-T G.722 at 64 kbit/s: no header, 2 samples of 16 kHz in a byte."""

G722_RATE, G722_BITS = 16000, 64000


def sound_length(file: Path, rate: int) -> int:
    """Return the number of samples that `file` has at `rate`, from its header alone.

    Raises DataError for a missing or corrupt file.
    """
    if file.suffix == G722:
        with _reading(file):
            return _count(2 * file.stat().st_size, G722_RATE, rate)
    with _reading(file):
        about = _soundfile().info(str(file))
        return _count(int(about.frames), int(about.samplerate), rate)


def sound_rate(file: Path) -> int:
    """Return the samples per second of `file`, from its header alone.

    Raises DataError for a missing or corrupt file.
    """
    with _reading(file):
        return G722_RATE if file.suffix == G722 else int(_soundfile().info(str(file)).samplerate)


def read_sound(file: Path, rate: int) -> Tensor:
    """Return the sound in `file` at `rate` samples per second, `(samples,)`, float32 in [-1, 1].

    Several channels are averaged; otherwise as `read_channels`.
    """
    return read_channels(file, rate).mean(0)


def read_channels(file: Path, rate: int) -> Tensor:
    """Return the sound in `file` at `rate` samples per second, `(channels, samples)`, float32 in
    [-1, 1].

    Reads WAV of any number of bits, FLAC, Ogg and what else libsndfile knows, and G.722.  Raises
    DataError for a missing, empty or corrupt file.
    """
    with _reading(file):
        if file.suffix == G722:
            wave, own = _decoded_g722(file.read_bytes())[None], G722_RATE
        else:
            values, own = _soundfile().read(str(file), dtype="float32", always_2d=True)
            wave = torch.from_numpy(np.ascontiguousarray(values.T))
    if not wave.shape[1]:
        raise DataError(f"{file}: holds no samples")
    if not bool(wave.isfinite().all()):
        raise DataError(f"{file}: has samples that are not finite")
    return resampled(wave, own, rate)


def resampled(wave: Tensor, own: int, rate: int) -> Tensor:
    """Return `wave`, `(..., samples)` at `own` samples per second, at `rate`, float32."""
    if own == rate:
        return wave.float()
    from scipy.signal import resample_poly

    common = math.gcd(own, rate)
    values = resample_poly(wave.double().numpy(), rate // common, own // common, axis=-1)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _count(samples: int, own: int, rate: int) -> int:
    # as resample_poly rounds
    common = math.gcd(own, rate)
    return -(-samples * (rate // common) // (own // common))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        if not file.is_file():
            raise DataError(f"{file}: there is no such file")
        yield
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # soundfile's errors are RuntimeErrors
        reason = getattr(error, "error_string", str(error)).rstrip(".")  # without the path again
        raise DataError(
            f"{file}: cannot be read as a sound ({reason}): replace or remove it"
        ) from error


def _decoded_g722(content: bytes) -> Tensor:
    try:
        import G722 as library
    except ImportError as error:
        raise DataError("G.722 files need a decoder: pip install 'fmcore-flow[audio]'") from error
    # a new decoder for each file: it keeps the state of the last one
    pcm = library.G722(G722_RATE, G722_BITS).decode(content)
    return torch.from_numpy(np.array(pcm, dtype=np.int16).astype(np.float32) / 2**15)


def _soundfile() -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise DataError(
            "sound files need the package soundfile: pip install 'fmcore-flow[audio]'"
        ) from error
    return soundfile
