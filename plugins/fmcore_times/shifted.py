"""Another distribution of times, shifted towards one end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, final

import torch
from annotated_types import Gt, Le
from torch import Tensor

from fmcore import Time, UniformTime

__all__ = ["Shifted"]


@final
@dataclass(frozen=True)
class Shifted(Time):
    """t = s / (shift - (shift - 1) s) for a time s of `base`.

    The noise level (1 - t) / t is `shift` times that of s.

    With `shift` = sqrt(m / n), images of m pixels at t are as noisy as images of n pixels at s;
    above 1 more times are near the noise.  Time runs from noise to data here, against the paper's.
    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 23; its default is 3.
    """

    shift: Annotated[float, Gt(0), Le(100)] = 3.0
    base: Time = field(default_factory=UniformTime)

    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        s = self.base.sample(n, generator, part)
        return s / (self.shift - (self.shift - 1) * s)

    def density(self, t: Tensor) -> Tensor:
        whole = 1 + (self.shift - 1) * t  # s = shift t / whole
        return self.base.density(self.shift * t / whole) * self.shift / whole**2
