"""Measurement of an image without its colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Operator

__all__ = ["Grey"]


@final
@dataclass(frozen=True)
class Grey(Operator):
    """y = sum_c weights[c] x1[c], one channel of an image `(channels, height, width)`.

    Samples of the posterior are coloured images.  The default weights of red, green and blue are
    those of the luminance (ITU-R BT.601), by which pictures are saved in grey; thirds give the
    mean.  There is one weight for each channel.
    """

    weights: tuple[float, ...] = (0.299, 0.587, 0.114)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", tuple(map(float, self.weights)))
        if len(self.weights) < 2:
            raise ComponentError("operator 'grey': weights has one number for each of the channels")

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 3 or shape[0] != len(self.weights):
            raise ComponentError(
                f"operator 'grey' measures images of {len(self.weights)} channels; a data point "
                f"has the shape {list(shape)}"
            )
        return (1, *shape[1:])

    def apply(self, x: Tensor) -> Tensor:
        self.shape(tuple(x.shape[1:]))
        return (x * self._column(x)).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        return y * self._column(y)

    def _column(self, like: Tensor) -> Tensor:
        return torch.tensor(self.weights, dtype=like.dtype, device=like.device)[:, None, None]
