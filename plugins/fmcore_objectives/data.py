"""Regress the data themselves."""

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
    """E |x1_t(xt) - x1|^2, every time with the same weight: a denoiser.

    Where sigma nears 0 its errors grow by d_sigma / sigma on the way to a velocity.
    Source: Salimans and Ho 2022 (arXiv 2202.00512), section 4.
    """

    @property
    def prediction(self) -> Quantity:
        return "data"

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return torch.ones_like(t)
