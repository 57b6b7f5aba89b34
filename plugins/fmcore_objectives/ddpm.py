"""DDPM: regression of the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import Path, Quantity
from fmcore_objectives.timed import Timed

__all__ = ["DDPM"]


@final
@dataclass(frozen=True)
class DDPM(Timed):
    """E |eps_t(xt) - x0|^2 with weight 1 at every time.

    Where alpha is 0, as at t = 0 of `ot`, xt is noise alone, so that a prediction of the noise does
    not determine the data, and the first step of sampling has no information about them.
    Source: eq. 44-45; Ho et al. 2020 (arXiv 2006.11239), eq. 14.
    """

    @property
    def prediction(self) -> Quantity:
        return "noise"

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return torch.ones_like(t)
