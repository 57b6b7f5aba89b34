"""Conditional flow matching: regression of the velocity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import Path, Quantity
from fmcore_objectives.timed import Timed

__all__ = ["FlowMatching"]


@final
@dataclass(frozen=True)
class FlowMatching(Timed):
    """E |v_t(xt) - ut|^2 with weight 1 at every time.  Source: eq. 9 and 14."""

    @property
    def prediction(self) -> Quantity:
        return "velocity"

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return torch.ones_like(t)
