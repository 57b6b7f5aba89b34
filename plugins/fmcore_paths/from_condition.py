"""A source centred on an entry of the condition, such as a low-resolution image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError, Condition, Rows, Source

__all__ = ["FromCondition"]


@final
@dataclass(frozen=True)
class FromCondition(Source):
    """x0 = condition[key] + scale z, with z standard normal.

    The entry `key` of the condition has the data's shape, `(batch, *shape)`; `scale` > 0 is the
    standard deviation of the noise.  Raises ComponentError if the entry is missing or has another
    shape.  Source: the prior of FLowHigh, Yun et al. 2025 (arXiv 2501.04926).
    """

    conditional: ClassVar[bool] = True

    key: str
    scale: Annotated[float, Gt(0)] = 1.0

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.key})

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        mean = self._mean((len(rows), *shape), condition).to(rows.device, dtype)
        return mean + self.scale * rows.normal(shape, dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        mean = self._mean(tuple(x.shape), condition).to(x.device, x.dtype)
        z = ((x - mean) / self.scale).flatten(1)
        log_volume = z.shape[1] * (0.5 * math.log(2 * math.pi) + math.log(self.scale))
        return -0.5 * z.square().sum(1) - log_volume

    def _mean(self, shape: tuple[int, ...], condition: Condition | None) -> Tensor:
        available = sorted(condition or ())
        if condition is None or self.key not in condition:
            raise ComponentError(
                f"source 'from_condition' needs the condition '{self.key}'; the data give "
                f"{', '.join(available) or 'none'}: set its `key` to one of them"
            )
        mean = condition[self.key]
        if tuple(mean.shape) != shape:
            raise ComponentError(
                f"source 'from_condition': condition '{self.key}' has shape {tuple(mean.shape)}, "
                f"but x0 has {shape}"
            )
        return mean
