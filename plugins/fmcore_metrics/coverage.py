"""The share of the data's support that the samples reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError
from fmcore_metrics.neighbours import neighbour_distances
from fmcore_metrics.points_metric import PointsMetric

__all__ = ["Coverage"]


@final
@dataclass(frozen=True)
class Coverage(PointsMetric):
    """The share of data points that have a sample no farther away than their `neighbours`-th
    nearest data point: near 1 if no part of the data is left out.  Source: Naeem et al. 2020.
    """

    neighbours: Annotated[int, Gt(0)] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours >= self.points:
            raise ComponentError(
                f"coverage: {self.points} points have no {self.neighbours} neighbours each: set "
                "neighbours below points"
            )

    @property
    def name(self) -> str:
        return "coverage"

    def compare(self, fake: Tensor, real: Tensor, seed: int) -> float:
        neighbours = min(self.neighbours, len(real) - 1)
        # The nearest data point of a data point is itself, at distance 0.
        reach = neighbour_distances(real, real, neighbours + 1)
        return float((neighbour_distances(real, fake, 1) <= reach).double().mean())
