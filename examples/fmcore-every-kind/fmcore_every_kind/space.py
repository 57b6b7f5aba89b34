"""Phases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import ComponentError, Manifold, Rows
from torch import Tensor

__all__ = ["EverySpace"]


@final
@dataclass(frozen=True)
class EverySpace(Manifold):
    """Numbers in [0, period), each a point of a circle by itself."""

    period: Annotated[float, Gt(0)] = 2 * math.pi

    def require(self, x: Tensor, what: str) -> None:
        if not bool(((x >= 0) & (x <= self.period)).all()):
            raise ComponentError(f"{what} holds values outside [0, {self.period:g})")

    def project(self, x: Tensor) -> Tensor:
        return torch.remainder(x, self.period)

    def features(self, x: Tensor) -> Tensor:
        angle = 2 * math.pi / self.period * x.flatten(1)
        return torch.cat([angle.sin(), angle.cos()], 1)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return self.period * rows.uniform(shape, dtype)

    def log_volume(self, shape: tuple[int, ...]) -> float:
        return math.prod(shape) * math.log(self.period)

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        return v

    def geodesic(self, x: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        return self.project(x + s * v), v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        half = self.period / 2
        return torch.remainder(y - x + half, self.period) - half

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return u * v
