"""Low-pass filters that make narrow-band sounds of wide-band ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from torch import Tensor

__all__ = ["LowPass"]

RIPPLES = (1e-9, 1e-6, 1e-3, 1.0, 5.0)
"""The ripples of random filters, in dB, as in NU-Wave 2 and FLowHigh."""

HIGHEST_ORDER = 11
"""Random filters have an order from 1 to it."""

RATE_STEP = 1000
"""Random filters keep what a sound has at a multiple of this rate."""

REFLECTED = 200
"""Zeros added at each end: a sound shorter than what the filter reflects would be refused."""


@final
@dataclass(frozen=True)
class LowPass:
    """A Chebyshev filter of the first kind, run forward and back: no delay, twice the ripple.

    It keeps what is below `cutoff` Hz; `ripple` is in dB.
    """

    cutoff: float
    order: int = 8
    ripple: float = 0.05

    @classmethod
    def random(cls, lowest: int, highest: int, generator: torch.Generator) -> Self:
        """Return a filter of random order and ripple, for a random rate from `lowest` to `highest`
        in steps of 1 kHz.
        """

        def drawn(count: int) -> int:
            return int(torch.randint(count, (), generator=generator))

        rate = lowest + RATE_STEP * drawn((highest - lowest) // RATE_STEP + 1)
        return cls(rate / 2, 1 + drawn(HIGHEST_ORDER), RIPPLES[drawn(len(RIPPLES))])

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Return `wave`, `(..., samples)` at `rate` samples per second, filtered, float32."""
        from scipy.signal import cheby1, sosfiltfilt

        if self.cutoff >= rate / 2:  # nothing is above
            return wave.float()
        filters = cheby1(self.order, self.ripple, self.cutoff, output="sos", fs=rate)
        ends = [(0, 0)] * (wave.ndim - 1) + [(REFLECTED, REFLECTED)]
        found = sosfiltfilt(filters, np.pad(wave.double().numpy(), ends))
        return torch.from_numpy(found[..., REFLECTED:-REFLECTED].copy()).float()
