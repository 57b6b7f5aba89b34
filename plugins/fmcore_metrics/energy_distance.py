"""The energy distance between two sets of points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from fmcore_metrics.points_metric import PointsMetric

__all__ = ["EnergyDistance"]

CHUNK = 1024
"""Rows whose distances to all others are held at once."""


@final
@dataclass(frozen=True)
class EnergyDistance(PointsMetric):
    """2 E|x - y| - E|x - x'| - E|y - y'| for samples x and data y: 0 for equal distributions alone.

    The estimate is unbiased, so it may be slightly negative.  Source: Szekely & Rizzo 2013.
    """

    @property
    def name(self) -> str:
        return "energy_distance"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def distance(self, fake: Tensor, real: Tensor, seed: int) -> float:
        count = len(fake)
        across = _sum(fake, real) / count**2
        within = (_sum(fake, fake) + _sum(real, real)) / (count * (count - 1))
        return float(2 * across - within)


def _sum(x: Tensor, y: Tensor) -> Tensor:
    """Of all distances between a row of x and one of y."""
    parts = [_cdist(part, y).sum() for part in torch.split(x, CHUNK)]
    return torch.stack(parts).sum()


def _cdist(x: Tensor, y: Tensor) -> Tensor:
    # Not by a matrix product, in which a point is at some distance from itself.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
