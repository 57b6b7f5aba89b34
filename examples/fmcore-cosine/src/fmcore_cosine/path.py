"""The cosine schedule of improved DDPM."""

import math
from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt, Lt
from torch import Tensor

from fmcore import AffinePath, Coefficients

__all__ = ["OffsetCosinePath"]


@final
@dataclass(frozen=True)
class OffsetCosinePath(AffinePath):
    """alpha^2 = f(s) / f(0), f(s) = cos^2((s + offset) / (1 + offset) pi / 2), at diffusion time
    s = 1 - t; the variance is preserved.

    `offset` makes sigma larger near the data.  The velocity is infinite at t = 1, so the interval
    ends at 1 - 1e-5.
    Source: Nichol and Dhariwal 2021 (arXiv 2102.09672), eq. 17.
    """

    offset: Annotated[float, Gt(0), Lt(1)] = 0.008

    @property
    def t_max(self) -> float:
        return 1 - 1e-5

    def coefficients(self, t: Tensor) -> Coefficients:
        k = math.pi / 2 / (1 + self.offset)
        # cos((s + offset) k) = sin(k t), which is exactly 0 at t = 0
        alpha = (k * t).sin() / math.sin(k)
        d_alpha = k * (k * t).cos() / math.sin(k)
        # 1 - alpha^2 as a product of sines, which does not cancel near t = 1
        away = k * (1 - t)
        sigma = (away.sin() * (away + 2 * k * self.offset).sin()).sqrt() / math.sin(k)
        sigma_d_sigma = -alpha * d_alpha
        return Coefficients(alpha, sigma, d_alpha, sigma_d_sigma / sigma, sigma_d_sigma)
