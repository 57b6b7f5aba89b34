"""The energy distance between two sets of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore_metrics.distances import distances
from fmcore_metrics.mmd import KernelMeans, squared_mmd_of
from fmcore_metrics.points_metric import PointsMetric

__all__ = ["EnergyDistance"]

CHUNK = 1024
"""Rows whose kernel values with all others are held in memory at once."""


@final
@dataclass(frozen=True)
class EnergyDistance(PointsMetric):
    """2 E|x - y| - E|x - x'| - E|y - y'| for samples x and data y: 0 only for equal distributions.

    The estimate is unbiased, so it may be slightly negative.  Where single samples lie so far out
    that they would cancel out of it, it grows with their distance.  Source: Szekely & Rizzo 2013.
    """

    @property
    def name(self) -> str:
        return "energy_distance"

    def compare(self, fake: Tensor, real: Tensor, seed: int) -> float:
        # Any centre gives the same value; a median keeps its digits where the data hold outliers.
        centre = real.median(0).values
        x, y = fake - centre, real - centre
        across = float(_kernel_sum(x, y, within=False)) / len(x) ** 2
        return squared_mmd_of(_means(x), _means(y), across, len(x))


def _means(x: Tensor) -> KernelMeans:
    count = len(x)
    pairs = _kernel_sum(x, x, within=True) / (count * (count - 1))
    return KernelMeans(2 * float(x.norm(dim=1).mean()), float(pairs))


def _kernel_sum(x: Tensor, y: Tensor, within: bool) -> Tensor:
    """Return the sum of k(x, y) over all pairs; `within` a set, over pairs of different rows.

    k(x, y) = |x| + |y| - |x - y| is the kernel whose squared MMD is the energy distance (Sejdinovic
    et al. 2013).  Written as a quotient it keeps its digits where one row is far from all others.
    """
    total = x.new_zeros(())
    for first in range(0, len(x), CHUNK):
        part = x[first : first + CHUNK]
        length, other = part.norm(dim=1)[:, None], y.norm(dim=1)
        apart = length + other + distances(part, y)
        kernel = 2 * (length * other + part @ y.T) / apart.clamp_min(torch.finfo(y.dtype).tiny)
        if within:  # zeroed before the sum: subtracting k(x, x) afterwards would cost digits
            kernel.diagonal(first).zero_()
        total += kernel.sum()
    return total
