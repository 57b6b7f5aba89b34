"""Laplace noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import Condition, Rows, Source
from torch import Tensor

__all__ = ["EverySource"]


@final
@dataclass(frozen=True)
class EverySource(Source):
    """Independent values with density exp(-|x| / scale) / (2 scale)."""

    scale: Annotated[float, Gt(0)] = 1.0

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        # the difference of two exponential draws
        first, second = (-torch.log1p(-rows.uniform(shape, dtype)) for _ in range(2))
        return self.scale * (first - second)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        value = x.flatten(1).abs() / self.scale
        return -value.sum(1) - value.shape[1] * math.log(2 * self.scale)
