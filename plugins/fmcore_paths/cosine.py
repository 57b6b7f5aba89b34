"""The path along a quarter circle from noise to data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import AffinePath, Coefficients

__all__ = ["CosinePath"]


@final
@dataclass(frozen=True)
class CosinePath(AffinePath):
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2): variance-preserving, at constant speed.

    Source: the trigonometric interpolant of Albergo and Vanden-Eijnden 2023 (arXiv 2209.15571).
    Nichol and Dhariwal 2021 (arXiv 2102.09672), eq. 17, add an offset to the angle.
    """

    def coefficients(self, t: Tensor) -> Coefficients:
        alpha = (math.pi / 2 * t).sin()
        sigma = (math.pi / 2 * (1 - t)).sin()  # cos(pi t / 2) is -4e-8 at t = 1 in float32
        return Coefficients(
            alpha=alpha, sigma=sigma, d_alpha=math.pi / 2 * sigma, d_sigma=-math.pi / 2 * alpha
        )
