"""Log-mel spectrograms of sounds, and their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional as F

from fmcore import ComponentError

__all__ = ["MelSpec", "mel_filters", "slaney_hertz", "slaney_mel"]

LINEAR_END, LINEAR_STEP = 1000.0, 200.0 / 3
"""The mel scale is linear, `LINEAR_STEP` Hz per mel, up to `LINEAR_END` Hz."""

LOG_STEP = torch.log(torch.tensor(6.4, dtype=torch.float64)).item() / 27
"""Above, a mel is this step of log frequency: 27 mel from 1 kHz to 6.4 kHz."""


@final
@dataclass(frozen=True)
class MelSpec:
    """The settings of a log-mel spectrogram of sounds at `rate` samples per second.

    Frames of `n_fft` samples, `hop` samples apart, under a Hann window; `mels` triangular filters
    from `f_min` to `f_max` Hz of equal area, on the mel scale of Slaney's Auditory Toolbox (1998),
    applied to magnitudes.  Values are natural logarithms of at least `floor`.

    Raises ComponentError where `f_max` is above half the rate, or not above `f_min`.
    """

    rate: Annotated[int, Gt(0)] = 22050
    n_fft: Annotated[int, Gt(0)] = 1024
    hop: Annotated[int, Gt(0)] = 256
    mels: Annotated[int, Gt(0)] = 80
    f_min: Annotated[float, Ge(0)] = 0.0
    f_max: Annotated[float, Gt(0)] = 8000.0
    floor: Annotated[float, Gt(0)] = 1e-5

    def __post_init__(self) -> None:
        if not self.f_min < self.f_max <= self.rate / 2:
            raise ComponentError(
                f"mel filters from f_min={self.f_min:g} to f_max={self.f_max:g} Hz: f_max must be "
                f"above f_min and at most half the rate, {self.rate / 2:g}"
            )
        if self.hop > self.n_fft or (self.n_fft - self.hop) % 2:
            raise ComponentError(
                f"n_fft - hop is {self.n_fft - self.hop}: it must be even and not negative"
            )

    def frames(self, samples: int) -> int:
        """Return the number of frames of a sound of `samples` samples: at least 1."""
        return max(1, samples // self.hop)

    @cached_property
    def filters(self) -> Tensor:
        """The mel filters, `(mels, n_fft / 2 + 1)`, float32."""
        return mel_filters(self.rate, self.n_fft, self.mels, self.f_min, self.f_max).float()

    @property
    def _pad(self) -> int:
        # half of what a frame overlaps: a sound of n hops has n frames, each around its hop
        return (self.n_fft - self.hop) // 2

    def spectrum(self, wave: Tensor) -> Tensor:
        """Return the complex spectrum of `wave`, `(..., samples)`, as `(..., n_fft / 2 + 1,
        frames)`.  Sounds shorter than a frame are padded with zeros.
        """
        # a sound shorter than a hop still has one frame
        wave = F.pad(wave, (0, max(0, self.hop - wave.shape[-1])))
        # zeros rather than a reflection: a clip may be shorter than what is reflected
        padded = F.pad(wave, (self._pad, self._pad))
        return torch.stft(
            padded,
            self.n_fft,
            self.hop,
            window=self.window(wave),
            center=False,
            return_complex=True,
        )

    def sound(self, spectrum: Tensor) -> Tensor:
        """Return the sound, `(..., frames hop)`, whose spectrum is nearest to `spectrum`.

        Source: overlap and addition, Griffin and Lim 1984.
        """
        *batch, bins, frames = spectrum.shape
        pieces = torch.fft.irfft(spectrum.reshape(-1, bins, frames), self.n_fft, dim=1)
        window = self.window(pieces)[:, None]
        whole = self.n_fft + (frames - 1) * self.hop
        added = _added(pieces * window, whole, self.hop)
        weight = _added((window**2).expand(1, -1, frames), whole, self.hop)
        sound = added / weight.clamp_min(1e-8)
        cut = sound[:, self._pad : self._pad + frames * self.hop]
        return cut.reshape(*batch, frames * self.hop)

    def window(self, like: Tensor) -> Tensor:
        """Return the Hann window, `(n_fft,)`, with the dtype and device of `like`."""
        return torch.hann_window(self.n_fft, dtype=like.dtype, device=like.device)

    def mel(self, wave: Tensor) -> Tensor:
        """Return the log-mel spectrogram of `wave`, `(..., samples)`, as `(..., mels, frames)`."""
        return self.log_mel(self.spectrum(wave).abs())

    def log_mel(self, magnitude: Tensor) -> Tensor:
        """Return log-mel values of magnitudes, `(..., n_fft / 2 + 1, frames)`."""
        filters = self.filters.to(magnitude)
        return (filters @ magnitude).clamp_min(self.floor).log()


def slaney_mel(hertz: Tensor) -> Tensor:
    """Return frequencies, in Hz, on the mel scale."""
    linear = hertz / LINEAR_STEP
    log = LINEAR_END / LINEAR_STEP + (hertz.clamp_min(1e-9) / LINEAR_END).log() / LOG_STEP
    return torch.where(hertz < LINEAR_END, linear, log)


def slaney_hertz(mel: Tensor) -> Tensor:
    """Return the frequencies, in Hz, of mels."""
    corner = LINEAR_END / LINEAR_STEP
    log = LINEAR_END * ((mel - corner) * LOG_STEP).exp()
    return torch.where(mel < corner, mel * LINEAR_STEP, log)


def mel_filters(rate: int, n_fft: int, mels: int, f_min: float, f_max: float) -> Tensor:
    """Return triangular filters of equal area, `(mels, n_fft / 2 + 1)`, float64."""
    low, high = slaney_mel(torch.tensor([f_min, f_max], dtype=torch.float64)).tolist()
    corners = slaney_hertz(torch.linspace(low, high, mels + 2, dtype=torch.float64))
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * rate / n_fft
    left, peak, right = (corners[i : mels + i, None] for i in range(3))
    rising, falling = (bins - left) / (peak - left), (right - bins) / (right - peak)
    return torch.minimum(rising, falling).clamp_min(0) * 2 / (right - left)


def _added(pieces: Tensor, length: int, hop: int) -> Tensor:
    """Add overlapping pieces, `(batch, n_fft, frames)`, to sounds of `length` samples."""
    n_fft = pieces.shape[1]
    return F.fold(pieces, (1, length), (1, n_fft), stride=(1, hop))[:, 0, 0]
