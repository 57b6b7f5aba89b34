"""Regression of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import Path, Quantity
from fmcore_objectives.timed import Timed

__all__ = ["DataPrediction"]


@final
@dataclass(frozen=True)
class DataPrediction(Timed):
    """E |x1_t(xt) - x1|^2 with weight 1 at every time: a denoiser.

    The conversion to a velocity multiplies its errors by d_sigma / sigma, which grows as sigma
    tends to 0.
    Source: Salimans and Ho 2022 (arXiv 2202.00512), section 4.
    """

    @property
    def prediction(self) -> Quantity:
        return "data"

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return torch.ones_like(t)
