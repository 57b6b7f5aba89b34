"""Angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Rows
from fmcore_spaces.compact import IMAGES, Compact, normal_log_density

__all__ = ["Torus", "wrap"]

RANGE_ATOL = 1e-4
"""How far an angle of the data may be outside [-pi, pi): float32 rounds pi upwards."""


def wrap(x: Tensor) -> Tensor:
    """Return the angles in [-pi, pi) that equal `x` up to whole turns.

    >>> import torch
    >>> wrap(torch.tensor([4.0, -4.0])).round(decimals=4).tolist()
    [-2.2832000255584717, 2.2832000255584717]
    """
    wrapped = torch.remainder(x + math.pi, 2 * math.pi) - math.pi
    # the remainder of a tiny negative number rounds to a whole turn
    return torch.where(wrapped >= math.pi, wrapped - 2 * math.pi, wrapped)


@final
@dataclass(frozen=True)
class Torus(Compact):
    """Angles in [-pi, pi), each a point of its own: data of any shape.

    Source: Chen and Lipman 2024 (arXiv 2302.03660), appendix.
    """

    def require(self, x: Tensor, what: str) -> None:
        if not bool((x.abs() <= math.pi + RANGE_ATOL).all()):
            worst = float(x.abs().nan_to_num(math.inf).max())
            raise ComponentError(
                f"{what} holds an angle of size {worst:.4g}; angles are in [-pi, pi), in radians"
            )

    def project(self, x: Tensor) -> Tensor:
        return wrap(x)

    def features(self, x: Tensor) -> Tensor:
        flat = x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)
        return torch.cat([flat.sin(), flat.cos(), (2 * flat).sin(), (2 * flat).cos()], 1)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        drawn = rows.uniform(shape, dtype)
        return wrap(2 * math.pi * drawn - math.pi)

    def log_volume(self, shape: tuple[int, ...]) -> float:
        return math.prod(shape) * math.log(2 * math.pi)

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        return v

    def geodesic(self, x: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        return wrap(x + s * v), v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return wrap(y - x)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return u * v

    def origin(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.zeros(shape, dtype=dtype)

    def log_wrapped(self, x: Tensor, scale: float) -> Tensor:
        turns = torch.arange(-IMAGES, IMAGES + 1, device=x.device, dtype=x.dtype)
        images = x.unsqueeze(-1) + 2 * math.pi * turns
        return normal_log_density(images.square(), scale, 1).logsumexp(-1)
