"""The coupling that the data set itself has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Coupling, Dataset, Pairing, Path

__all__ = ["Paired"]


@final
@dataclass(frozen=True)
class Paired(Coupling):
    """Leaves every x0 beside the x1 it came with: data sets of pairs, and reflow.

    Unlike `independent` it claims nothing of how the two depend on each other.
    Source: Liu, Gong, Liu 2022 (arXiv 2209.03003), algorithm 1 for pairs that a flow generated.
    """

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if data is not None and not data.pairs:
            raise ComponentError(
                f"coupling 'paired' keeps the pairs of the data, but {type(data).__name__} has no "
                "x0: use data 'pairs' (made by fmcore.write_pairs) or coupling 'independent'"
            )

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        return Pairing(x0, x1, condition)
