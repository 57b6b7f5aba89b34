"""A small network with residual layers."""

from __future__ import annotations

import math
from typing import Annotated, final

import torch
from annotated_types import Gt
from fmcore import Condition, VectorField
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EveryModel"]


@final
class EveryModel(VectorField):
    """`depth` residual layers of `width` units on the flattened x; each layer reads the time.

    Takes x of any shape, and no labels.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        width: Annotated[int, Gt(0)] = 128,
        depth: Annotated[int, Gt(0)] = 3,
    ) -> None:
        super().__init__()
        size = math.prod(shape)
        self.enter = nn.Linear(size, width)
        self.layers = nn.ModuleList(nn.Linear(width + 4, width) for _ in range(depth))
        self.leave = nn.Linear(width, size)

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        angle = 2 * math.pi * t[:, None]  # half of it differs between t = 0 and t = 1
        time = torch.cat([f(k * angle) for k in (0.5, 1) for f in (torch.sin, torch.cos)], dim=1)
        h = self.enter(x.flatten(1))
        for layer in self.layers:
            h = h + functional.silu(layer(torch.cat([h, time.to(h.dtype)], dim=1)))
        result: Tensor = self.leave(h)
        return result.reshape(x.shape)
