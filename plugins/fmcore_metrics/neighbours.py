"""Precision and recall of samples by the nearest neighbours of their features.

Source: Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative
models".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import DataError, Result
from fmcore_metrics.feature_metric import Compared

__all__ = ["PrecisionRecall", "covered"]

CHUNK = 2048
"""Rows whose distances to all others are held at once."""


@final
@dataclass(frozen=True)
class PrecisionRecall:
    """Precision: the share of samples that lie among the data.  Recall: the share of the data that
    lies among the samples.

    A point lies among a set if for some member it is no farther than that member's own
    `neighbours`-th nearest neighbour in the set.
    """

    neighbours: int

    def results(self, name: str, sets: Compared) -> dict[str, Result]:
        """Under `name_precision` and `name_recall`."""
        fake, real = sets.fake, sets.real_rows()
        fewest = min(len(fake), len(real))
        if fewest <= self.neighbours:
            raise DataError(
                f"{name}: {fewest} pictures have no {self.neighbours} neighbours each: give more, "
                "or fewer neighbours"
            )
        made = {"neighbours": self.neighbours}
        return {
            f"{name}_precision": Result(_share(fake, real, self.neighbours), None, made),
            f"{name}_recall": Result(_share(real, fake, self.neighbours), None, made),
        }


def _share(points: Tensor, members: Tensor, neighbours: int) -> float:
    return float(covered(points, members, neighbours).double().mean())


def covered(points: Tensor, members: Tensor, neighbours: int) -> Tensor:
    """Which of `points` `(rows, d)` lie among `members`, `(rows,)` bool."""
    points, members = points.double(), members.double()
    # The nearest member is the member itself, at distance 0.
    reach = torch.cat(
        [
            torch.cdist(part, members).kthvalue(neighbours + 1).values
            for part in torch.split(members, CHUNK)
        ]
    )
    return torch.cat(
        [(torch.cdist(part, members) <= reach).any(1) for part in torch.split(points, CHUNK)]
    )
