"""Measurement of an image at a lower resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fmcore import ComponentError, Operator

__all__ = ["Downsample"]


@final
@dataclass(frozen=True)
class Downsample(Operator):
    """y = means of `factor` x `factor` pixels of an image `(channels, height, width)`."""

    factor: Annotated[int, Gt(0)] = 2

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 3 or shape[1] % self.factor or shape[2] % self.factor:
            raise ComponentError(
                f"operator 'downsample': height and width must be multiples of {self.factor}; a "
                f"data point has the shape {list(shape)}"
            )
        return (shape[0], shape[1] // self.factor, shape[2] // self.factor)

    def apply(self, x: Tensor) -> Tensor:
        self.shape(tuple(x.shape[1:]))  # avg_pool2d would cut a rest off
        return avg_pool2d(x, self.factor)

    def adjoint(self, y: Tensor) -> Tensor:
        wide = y.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)
        return wide / self.factor**2
