"""The noise of stochastic solvers: draw k of sample i is a function of (seed, i, k) alone.

The generator is counter-based (Philox), with a key for each sample and a counter for each draw, so
that a sample's noise depends neither on the order of draws nor on the rest of its batch.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from fmcore.interfaces.problem import Problem
from fmcore.interfaces.randomness import stream_seed
from fmcore.solving.evaluation import device_tensor

__all__ = ["Diffusion"]


@final
class Diffusion:
    """The standard normal draws of a solve: made on the CPU, returned in x0's dtype on its device.

    Drawn in float64, so that a solve in float32 uses the same noise, rounded.  The host waits for
    the device only where `problem.sample_ids` are on it.  Elements outside a `mask` in the
    condition get no noise and stay 0.
    """

    def __init__(self, problem: Problem, x0: Tensor) -> None:
        ids = range(len(x0)) if problem.sample_ids is None else problem.sample_ids.tolist()
        self._keys = [stream_seed(problem.seed, "diffusion", sample) for sample in ids]
        self._shape, self._dtype, self._device = x0.shape, x0.dtype, x0.device
        self._mask = (problem.condition or {}).get("mask")
        self._philox = np.random.Philox(key=0)
        self._draws = np.random.Generator(self._philox)
        self._state = self._philox.state

    def __call__(self, draw: int) -> Tensor:
        """Return draw number `draw` of every sample, `(batch, *shape)`."""
        # float64 on the CPU: the same bits on every machine and for every dtype of the state.
        values = np.empty((self._shape[0], self._shape[1:].numel()))
        for row, key in zip(values, self._keys, strict=True):
            self._set_position(key, draw)
            self._draws.standard_normal(out=row)
        drawn = torch.from_numpy(values).view(self._shape)
        noise = device_tensor(drawn, self._dtype, self._device)
        return noise if self._mask is None else noise * self._mask.to(self._dtype)

    def _set_position(self, key: int, draw: int) -> None:
        """Set key and counter; a new Philox for each sample would cost five times as much."""
        self._state["state"]["key"][:] = (key, 0)
        # The low word counts blocks within a draw, so that draws never overlap.
        self._state["state"]["counter"][:] = (0, draw, 0, 0)
        self._state["buffer_pos"] = 4  # an empty buffer: no values left from another stream
        self._state["has_uint32"] = 0
        self._philox.state = self._state
