"""The moving average of a network's weights, in one fused operation a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from fmcore.errors import CheckpointError
from fmcore.training.profiles import Profile
from fmcore.training.sharding import fill, part

__all__ = ["MovingAverage"]


@final
class MovingAverage:
    """average <- keep * average + (1 - keep) * weights, in float32; what is not a number is taken
    as is.

    `profile` says what is kept.  Of weights cut among processes, each averages its part.
    """

    def __init__(self, model: nn.Module, profile: Profile) -> None:
        self.profile = profile
        self._live = {k: v.detach() for k, v in model.state_dict(keep_vars=True).items()}
        self._averages = {
            k: v.clone().float() for k, v in self._live.items() if v.is_floating_point()
        }
        self._parts = [part(average) for average in self._averages.values()]
        self._weights = [part(self._live[k]) for k in self._averages]
        self._in_float32 = all(weight.dtype == torch.float32 for weight in self._weights)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        weights = self._weights if self._in_float32 else [w.float() for w in self._weights]
        torch._foreach_lerp_(self._parts, weights, 1 - self.profile.keep(step))

    def state(self) -> dict[str, Tensor]:
        """The averages under the network's own names."""
        return {k: self._averages.get(k, v) for k, v in self._live.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from averages saved before.  Raises CheckpointError if they are of another
        network.
        """
        for name, average in self._averages.items():
            if name not in tensors or tensors[name].shape != average.shape:
                raise CheckpointError(f"the average '{self.profile.name}' lacks '{name}'")
            fill(average, tensors[name])
