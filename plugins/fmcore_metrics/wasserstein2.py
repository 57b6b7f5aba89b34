"""The exact 2-Wasserstein distance between two sets of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fmcore_metrics.distances import distances
from fmcore_metrics.points_metric import PointsMetric

__all__ = ["Wasserstein2"]


@final
@dataclass(frozen=True)
class Wasserstein2(PointsMetric):
    """The root mean square distance of samples to data under the best one-to-one assignment.

    Exact for the `points` compared, in time that grows with the cube of their number (about a
    second for 2,000).  Two sets of one distribution are at some distance as well: see
    `data_against_data` in the details.
    """

    @property
    def name(self) -> str:
        return "wasserstein2"

    def compare(self, fake: Tensor, real: Tensor, seed: int) -> float:
        cost = distances(fake, real).square().numpy()
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].mean() ** 0.5)
