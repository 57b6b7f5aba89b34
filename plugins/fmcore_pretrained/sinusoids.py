"""The time embedding of diffusion networks, computed in the precision of its input.

The libraries compute it in float32, which rounds t = 999 to 6e-5: a field in float64 would not be
smooth in t, and an adaptive solver at a tight tolerance would take very small steps.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

__all__ = ["Sinusoids", "sinusoids"]

SLOWEST = 1e-4


def sinusoids(t: Tensor, features: int, shift: float = 0.0) -> Tensor:
    """Return cosines, then sines, of `t` at frequencies from 1 to `SLOWEST`, `(batch, features)`.

    The frequencies are SLOWEST^(k / (features / 2 - shift)).  Source: Ho et al. 2020
    (arXiv 2006.11239), whose code has shift 1.
    """
    t = t.to(torch.promote_types(t.dtype, torch.float32))
    half = features // 2
    k = torch.arange(half, dtype=t.dtype, device=t.device)
    angles = t[:, None] * (math.log(SLOWEST) * k / (half - shift)).exp()
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    return nn.functional.pad(waves, (0, features % 2))


@final
class Sinusoids(nn.Module):
    """`sinusoids` as a module that replaces a network's own time embedding."""

    def __init__(self, features: int, shift: float, cosines_first: bool) -> None:
        super().__init__()
        self.features = features
        self.shift = shift
        self.cosines_first = cosines_first

    def forward(self, t: Tensor) -> Tensor:
        waves = sinusoids(t, self.features, self.shift)
        half = self.features // 2
        if self.cosines_first:
            return waves
        return torch.cat([waves[:, half : 2 * half], waves[:, :half], waves[:, 2 * half :]], dim=1)
