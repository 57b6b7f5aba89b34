"""Paths that go a fraction kappa(t) of the way from x0 to x1, on any space."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.path import BISECTIONS, Path

__all__ = ["KappaPath"]

LEFT_AT_LEAST = 1e-4
"""The least 1 - kappa by which a rate divides: kappa' / (1 - kappa) is infinite at t = 1, where a
solver with stages at the end of a step evaluates it."""


@dataclass(frozen=True)
class KappaPath(Path):
    """A path of which xt is the fraction kappa(t) of the way, on a geodesic or by a jump.

    Laws, besides those of Path: kappa(0) = 0, kappa(1) = 1, kappa increases, and d_kappa is its
    derivative.
    """

    @abstractmethod
    def kappa(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return kappa and its derivative at times `t` of any shape, in t's dtype."""

    @final
    def rate(self, t: Tensor) -> Tensor:
        """Return kappa' / (1 - kappa) at `t`: the speed over what is left of the way."""
        kappa, d_kappa = self.kappa(t)
        return d_kappa / (1 - kappa).clamp_min(LEFT_AT_LEAST)

    @final
    def inverse_kappa(self, kappa: Tensor) -> Tensor:
        """Return the time at which kappa has this value, in its shape and dtype, by bisection in
        float64.
        """
        wanted = kappa.double()
        low, high = torch.zeros_like(wanted), torch.ones_like(wanted)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self.kappa(middle)[0] < wanted
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return high.to(kappa.dtype)
