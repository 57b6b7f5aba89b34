"""How much of the data's support the samples reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import ComponentError
from fmcore_metrics.points_metric import PointsMetric

__all__ = ["Coverage"]


@final
@dataclass(frozen=True)
class Coverage(PointsMetric):
    """The share of data points that have a sample nearer than their `neighbours`-th nearest data
    point: near 1 if no part of the data is left out.  Source: Naeem et al. 2020.
    """

    neighbours: Annotated[int, Gt(0)] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours >= self.points:
            raise ComponentError(
                f"coverage: {self.points} points have no {self.neighbours} neighbours each"
            )

    @property
    def name(self) -> str:
        return "coverage"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"neighbours": self.neighbours}

    def distance(self, fake: Tensor, real: Tensor, seed: int) -> float:
        neighbours = min(self.neighbours, len(real) - 1)
        reach = torch.cdist(real, real).kthvalue(neighbours + 1).values
        nearest = torch.cdist(real, fake).min(dim=1).values
        return float((nearest <= reach).double().mean())
