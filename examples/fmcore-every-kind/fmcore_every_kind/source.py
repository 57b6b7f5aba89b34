"""Laplace noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import Condition, Source
from torch import Tensor

__all__ = ["EverySource"]


@final
@dataclass(frozen=True)
class EverySource(Source):
    """Independent values with density exp(-|x| / scale) / (2 scale)."""

    scale: Annotated[float, Gt(0)] = 1.0

    def sample(
        self,
        n: int,
        shape: tuple[int, ...],
        generator: torch.Generator,
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        exponential = torch.empty((n, *shape, 2), dtype=dtype).exponential_(generator=generator)
        return self.scale * (exponential[..., 0] - exponential[..., 1])

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        value = x.flatten(1).abs() / self.scale
        return -value.sum(1) - value.shape[1] * math.log(2 * self.scale)
