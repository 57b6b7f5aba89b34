"""Manifolds of finite volume with a base point: the spaces of `wrapped_normal`."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from fmcore import Manifold, Rows

__all__ = ["IMAGES", "Compact", "normal_log_density", "safe_norm"]

IMAGES = 4
"""Turns in each direction that a wrapped density sums over: at scale 5, the next one adds 1e-7."""

TINY = 1e-12
"""The square of a length below which a direction is not computed: its gradient would be NaN at
0."""


class Compact(Manifold):
    """A manifold of finite volume, with a base point at which tangent vectors are drawn."""

    @abstractmethod
    def origin(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return the base point for points of `shape`."""

    def standard_normal(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Draw standard normal tangent vectors at the base point, `(len(rows), *shape)`."""
        origin = self.origin(shape, dtype).to(rows.device).expand(len(rows), *shape)
        return self.tangent(origin, rows.normal(shape, dtype))

    @abstractmethod
    def log_wrapped(self, x: Tensor, scale: float) -> Tensor:
        """Return the log-density, of each point, of exp(origin, scale times a standard normal
        tangent vector), without the dimensions of `point`.
        """


def safe_norm(v: Tensor) -> tuple[Tensor, Tensor]:
    """Return the length of vectors along the last dimension, kept, and where it is not tiny.

    Where it is tiny the length is 1, so that neither a quotient nor a gradient is NaN.
    """
    square = v.square().sum(-1, keepdim=True)
    large = square > TINY
    return torch.where(large, square, torch.ones_like(square)).sqrt(), large


def normal_log_density(squared: Tensor, scale: float, dimension: int) -> Tensor:
    """Return the log-density of N(0, scale^2 I) in `dimension` numbers at a squared length."""
    variance = torch.tensor(scale, dtype=squared.dtype).square()
    return -squared / (2 * variance) - dimension / 2 * (2 * torch.pi * variance).log()
