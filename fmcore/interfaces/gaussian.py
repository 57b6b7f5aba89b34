"""The sources that the core itself needs: Gaussian noise, and the scaled source of a prior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Condition, Source
from fmcore.interfaces.tensors import as_rows

__all__ = ["Gaussian", "Scaled"]


@final
@dataclass(frozen=True)
class Gaussian(Source):
    """Isotropic normal noise N(0, temperature^2 I).

    `temperature` > 0; below 1, samples have less variety and higher density.  Raises ComponentError
    for any other value.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ComponentError(
                f"source 'gaussian': temperature must be positive, got {self.temperature}"
            )

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return self.temperature * rows.normal(shape, dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        flat = as_rows(x) / self.temperature
        log_volume = flat.shape[1] * (0.5 * math.log(2 * math.pi) + math.log(self.temperature))
        return -0.5 * flat.square().sum(1) - log_volume


@final
@dataclass(frozen=True)
class Scaled(Source):
    """`scale` > 0 times a draw of `source`: the prior of an affine path whose sigma(t_min) is not
    1.
    """

    source: Source
    scale: float

    @property
    def reads(self) -> frozenset[str]:
        return self.source.reads

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return self.scale * self.source.sample(rows, shape, condition, dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        dimensions = math.prod(x.shape[1:])
        return self.source.log_prob(x / self.scale, condition) - dimensions * math.log(self.scale)
