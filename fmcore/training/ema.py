"""The moving average of a network's weights, in one fused operation a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


@final
class MovingAverage:
    """ema <- decay * ema + (1 - decay) * weights, in float32, for every parameter; buffers are
    copied.

    The decay warms up as min(decay, (1 + step) / (10 + step)), so that a short run forgets its
    initialisation.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = list(model.state_dict(keep_vars=True).values())
        self._names = list(model.state_dict())
        self._averages = [
            w.detach().clone().float() if w.is_floating_point() else w.detach().clone()
            for w in self._weights
        ]
        moving = [i for i, w in enumerate(self._weights) if w.is_floating_point()]
        self._moving = [self._averages[i] for i in moving]
        self._sources = [self._weights[i] for i in moving]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._moving, [w.detach() for w in self._sources], 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """The averages under the network's own names."""
        return dict(zip(self._names, self._averages, strict=True))

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from averages saved before."""
        for name, average in zip(self._names, self._averages, strict=True):
            average.copy_(tensors[name])
