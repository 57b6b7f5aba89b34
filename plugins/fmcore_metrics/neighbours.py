"""Precision and recall of samples by the nearest neighbours of their features.

Source: Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative
models".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import DataError, Result
from fmcore_metrics.distances import distances
from fmcore_metrics.feature_metric import FeatureMetric, FeatureSets

__all__ = ["PrecisionRecallMetric", "covered", "neighbour_distances"]

CHUNK = 1024
"""Rows whose distances to all others are held in memory at once."""


@dataclass(frozen=True)
class PrecisionRecallMetric(FeatureMetric):
    """Precision: the share of samples covered by the data.  Recall: the share of the data covered
    by the samples.  See `covered`; `neighbours` is the number of neighbours.
    """

    neighbours: Annotated[int, Gt(0)] = 3

    def compare(self, sets: FeatureSets) -> dict[str, Result]:
        fake, real = sets.fake, sets.real_rows()
        fewest = min(len(fake), len(real))
        if fewest <= self.neighbours:
            raise DataError(
                f"{self.name}: {fewest} pictures have no {self.neighbours} neighbours each: use "
                "more pictures or fewer neighbours"
            )
        shares = {"precision": (fake, real), "recall": (real, fake)}
        return {
            f"{self.name}_{what}": Result(
                float(covered(*pair, self.neighbours).double().mean()),
                None,
                {"neighbours": self.neighbours},
            )
            for what, pair in shares.items()
        }


def covered(points: Tensor, members: Tensor, neighbours: int) -> Tensor:
    """Return which of `points` `(rows, d)` are covered by the set `members`: `(rows,)`, bool.

    A point is covered if it is no farther from some member than that member's own `neighbours`-th
    nearest neighbour in the set.
    """
    # The nearest member of a member is itself, at distance 0.
    reach = neighbour_distances(members, members, neighbours + 1)
    return torch.cat(
        [(distances(part, members) <= reach).any(1) for part in torch.split(points, CHUNK)]
    )


def neighbour_distances(x: Tensor, y: Tensor, k: int) -> Tensor:
    """Return the distance of each row of `x` to the `k`-th nearest row of `y`: `(len(x),)`."""
    parts = torch.split(x, CHUNK)
    return torch.cat([distances(part, y).kthvalue(k).values for part in parts])
