"""The schedules kappa(t) of paths on spaces."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt, Le
from torch import Tensor

from fmcore import KappaPath

__all__ = ["Scheduled"]


@dataclass(frozen=True)
class Scheduled(KappaPath):
    """A path with one of four schedules.

    `linear`: t.  `polynomial`: t^degree.  `cosine`: 1 - cos(pi t / 2).  `exponential`:
    (1 - exp(-rate t)) / (1 - exp(-rate)), fast at first.
    Sources: arXiv 2407.15595 (polynomial), 2202.04200 (cosine), 2302.02277 (exponential).
    """

    schedule: Literal["linear", "polynomial", "cosine", "exponential"] = field(
        default="linear", kw_only=True
    )
    degree: Annotated[float, Gt(0), Le(20)] = field(default=2.0, kw_only=True)
    rate_constant: Annotated[float, Gt(0), Le(50)] = field(default=10.0, kw_only=True)

    @final
    def kappa(self, t: Tensor) -> tuple[Tensor, Tensor]:
        if self.schedule == "linear":
            return t, torch.ones_like(t)
        if self.schedule == "polynomial":
            return t.pow(self.degree), self.degree * t.pow(self.degree - 1)
        if self.schedule == "cosine":
            angle = math.pi / 2 * t
            # 2 sin^2(a / 2) = 1 - cos(a), without cancellation
            return 2 * (angle / 2).sin().square(), math.pi / 2 * angle.sin()
        whole = -math.expm1(-self.rate_constant)
        return (
            -torch.expm1(-self.rate_constant * t) / whole,
            self.rate_constant * torch.exp(-self.rate_constant * t) / whole,
        )
