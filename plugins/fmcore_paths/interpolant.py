"""Stochastic interpolants: two ends and a latent noise between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore_paths.bridge import BridgePath, Weights

__all__ = ["Interpolant"]


@final
@dataclass(frozen=True)
class Interpolant(BridgePath):
    """xt = a(t) x0 + b(t) x1 + scale gamma(t) z.

    `schedule` is that of the ends: `linear` (1 - t, t) or `trigonometric` (cos, sin of pi t / 2);
    `gamma` is sqrt(2 t (1 - t)) (`brownian`) or sin^2(pi t) (`sine_squared`, whose velocity is
    finite at the ends).
    Source: Albergo, Boffi, Vanden-Eijnden 2023 (arXiv 2303.08797), definition 1 and table 8.
    """

    schedule: Literal["linear", "trigonometric"] = "linear"
    gamma: Literal["brownian", "sine_squared"] = "brownian"
    scale: Annotated[float, Gt(0)] = 1.0

    def weights(self, t: Tensor) -> Weights:
        a, b, d_a, d_b = self._ends(t)
        g, d_g = self._gamma(t)
        return Weights(a=a, b=b, g=self.scale * g, d_a=d_a, d_b=d_b, d_g=self.scale * d_g)

    def _ends(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.schedule == "linear":
            one = torch.ones_like(t)
            return 1 - t, t, -one, one
        angle, speed = math.pi / 2 * t, math.pi / 2
        # sin of the complement, not cos: exact zeros at t = 1
        cos = (math.pi / 2 * (1 - t)).sin()
        return cos, angle.sin(), -speed * angle.sin(), speed * cos

    def _gamma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        if self.gamma == "brownian":
            g = (2 * t * (1 - t)).sqrt()
            return g, (1 - 2 * t) / g
        return (math.pi * t).sin().square(), math.pi * (2 * math.pi * t).sin()
