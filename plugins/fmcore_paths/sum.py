"""A scaled draw of a source plus Gaussian noise: where a bridge starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor

from fmcore import ComponentError, Condition, Gaussian, Rows, Source

__all__ = ["Sum"]


@final
@dataclass(frozen=True)
class Sum(Source):
    """scale x0 + noise z with x0 from `source` and z ~ N(0, I).

    Its density is known where `source` is Gaussian.
    """

    source: Source
    scale: Annotated[float, Ge(0)] = 1.0
    noise: Annotated[float, Ge(0)] = 0.0

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
        x0 = self.source.sample(rows, shape, condition, dtype)
        z = rows.normal(shape, dtype)
        return self.scale * x0 + self.noise * z

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        if not isinstance(self.source, Gaussian):
            raise ComponentError(
                f"{type(self.source).__name__} plus noise has no density in closed form: "
                "likelihoods need a Gaussian source"
            )
        width = math.hypot(self.scale * self.source.temperature, self.noise)
        return Gaussian(width).log_prob(x)
