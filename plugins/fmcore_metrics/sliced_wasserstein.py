"""The sliced 2-Wasserstein distance between two sets of points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import generator_for
from fmcore_metrics.points_metric import PointsMetric

__all__ = ["SlicedWasserstein"]


@final
@dataclass(frozen=True)
class SlicedWasserstein(PointsMetric):
    """The root mean square, over random directions, of the 2-Wasserstein distance of projections.

    In one dimension the best assignment pairs points in order, so large sets cost a sort.  The
    `directions` are a function of the seed.  Source: Rabin et al. 2012.
    """

    directions: Annotated[int, Gt(0)] = 256
    points: Annotated[int, Ge(2)] = field(default=50_000, kw_only=True)

    @property
    def name(self) -> str:
        return "sliced_wasserstein"

    def compare(self, fake: Tensor, real: Tensor, seed: int) -> float:
        random = generator_for(seed, "directions")
        drawn = torch.randn(self.directions, fake.shape[1], generator=random, dtype=torch.float64)
        squares = [
            ((fake @ one).sort().values - (real @ one).sort().values).square().mean()
            for one in drawn / drawn.norm(dim=1, keepdim=True)
        ]
        return float(torch.stack(squares).mean().sqrt())
