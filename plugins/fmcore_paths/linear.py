"""The straight line between noise and data: rectified flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import AffinePath, Coefficients

__all__ = ["LinearPath"]


@final
@dataclass(frozen=True)
class LinearPath(AffinePath):
    """xt = t x1 + (1 - t) x0 and ut = x1 - x0: path `ot` with sigma_min 0, which ends at x1.

    Source: Liu, Gong, Liu 2022 (arXiv 2209.03003), eq. 1.
    """

    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        return Coefficients(alpha=t, sigma=1 - t, d_alpha=one, d_sigma=-one)
