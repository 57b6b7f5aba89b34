"""Measurement of a blurred image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import conv2d

from fmcore import ComponentError, Operator

__all__ = ["Blur"]


@final
@dataclass(frozen=True)
class Blur(Operator):
    """y = an image convolved with a Gaussian of standard deviation `width` pixels.

    The kernel ends at three standard deviations; outside the image are zeros.
    """

    width: Annotated[float, Gt(0)] = 1.0

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 3:
            raise ComponentError(
                f"operator 'blur' needs images, and a data point has the shape {list(shape)}"
            )
        return shape

    def apply(self, x: Tensor) -> Tensor:
        self.shape(tuple(x.shape[1:]))
        channels, radius = x.shape[1], max(1, math.ceil(3 * self.width))
        offsets = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
        weights = (-0.5 * (offsets / self.width) ** 2).exp()
        weights = (weights / weights.sum()).expand(channels, 1, 1, -1)
        along = conv2d(x, weights, padding=(0, radius), groups=channels)
        return conv2d(along, weights.transpose(2, 3), padding=(radius, 0), groups=channels)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.apply(y)  # the kernel is symmetric, and zeros outside keep it so at the edge
