"""Unit vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError, Rows
from fmcore_spaces.compact import IMAGES, Compact, normal_log_density, safe_norm

__all__ = ["Sphere"]

UNIT_ATOL = 1e-4
"""How far the length of a point of the data may be from 1."""


@final
@dataclass(frozen=True)
class Sphere(Compact):
    """Unit vectors of R^(dimension + 1), along the last dimension of the data.

    Distances are angles.  `log` uses atan2, since the gradient of acos is NaN at equal points.
    Source: Chen and Lipman 2024 (arXiv 2302.03660), appendix.
    """

    dimension: Annotated[int, Gt(0)] = 2

    @property
    def point(self) -> tuple[int, ...]:
        return (self.dimension + 1,)

    def require(self, x: Tensor, what: str) -> None:
        away = (x.norm(dim=-1) - 1).abs().nan_to_num(math.inf)
        if not bool((away <= UNIT_ATOL).all()):
            worst = float(x.norm(dim=-1).flatten()[away.argmax()])
            raise ComponentError(
                f"{what} holds a vector of length {worst:.4g}; points of a sphere have length 1"
            )

    def project(self, x: Tensor) -> Tensor:
        unit: Tensor = x / safe_norm(x)[0]
        return unit

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        drawn = rows.normal(shape, dtype)
        unit: Tensor = drawn / drawn.norm(dim=-1, keepdim=True)
        return unit

    def log_volume(self, shape: tuple[int, ...]) -> float:
        half = (self.dimension + 1) / 2
        area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return math.prod(shape[:-1]) * area

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        return v - (x * v).sum(-1, keepdim=True) * x

    def geodesic(self, x: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        speed, large = safe_norm(v)
        square = v.square().sum(-1, keepdim=True)
        angle = s * speed
        # near 0 the series, whose next terms are below 1e-12
        cosine = torch.where(large, angle.cos(), 1 - s.square() * square / 2)
        sine = torch.where(large, angle.sin() / speed, s)
        return cosine * x + sine * v, cosine * v - sine * square * x

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        apart = y - x
        # from the difference: y - (x.y) x loses all digits where the points are close
        across = apart - (x * apart).sum(-1, keepdim=True) * x
        length, large = safe_norm(across)
        angle = torch.atan2(length, (x * y).sum(-1, keepdim=True))
        return torch.where(large, angle / length, 1.0) * across

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum(-1)

    def origin(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        pole = torch.zeros(shape, dtype=dtype)
        pole[..., -1] = 1
        return pole

    def log_wrapped(self, x: Tensor, scale: float) -> Tensor:
        angle = torch.atan2(x[..., :-1].norm(dim=-1), x[..., -1]).unsqueeze(-1)
        turns = 2 * math.pi * torch.arange(IMAGES + 1, device=x.device, dtype=x.dtype)
        # the same point is met at angle + turns in one direction, turns - angle in the other
        lengths = torch.cat([angle + turns, turns[1:] - angle], -1)
        stretch = (lengths.abs() / lengths.sin().abs().clamp_min(1e-12)).clamp_min(1).log()
        stretch = torch.where(lengths.abs() > 1e-6, stretch, 0.0)
        terms = normal_log_density(lengths.square(), scale, self.dimension)
        return (terms + (self.dimension - 1) * stretch).logsumexp(-1)
