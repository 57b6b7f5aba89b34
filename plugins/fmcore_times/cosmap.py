"""The signal-to-noise ratios of the cosine schedule, on a straight path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore_times.inverse import InverseTime

__all__ = ["CosMap"]


@final
@dataclass(frozen=True)
class CosMap(InverseTime):
    """Density 2 / (pi (1 - 2 t + 2 t^2)): the log-SNR of the path `linear` at t has the
    distribution that uniform times give it on the path `cosine`.

    From t / (1 - t) = tan(pi u / 2) for a uniform u.
    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 21-22; symmetric in t and 1 - t.
    """

    def quantile(self, u: Tensor) -> Tensor:
        # sin / (sin + cos) is tan / (1 + tan) without the infinite tangent at u = 1
        angle = math.pi / 2 * u
        return angle.sin() / (angle.sin() + angle.cos())

    def density(self, t: Tensor) -> Tensor:
        return 2 / (math.pi * (1 - 2 * t + 2 * t**2))
