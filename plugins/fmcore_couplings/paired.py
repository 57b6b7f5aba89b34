"""The coupling of a dataset of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Coupling, Dataset, Pairing, Path, Space

__all__ = ["Paired"]


@final
@dataclass(frozen=True)
class Paired(Coupling):
    """Every x0 keeps its x1 of the dataset: for datasets of pairs, and reflow.

    Unlike `independent` it makes no assumption on how x0 and x1 depend on each other.  Source: Liu,
    Gong, Liu 2022 (arXiv 2209.03003), algorithm 1 for pairs that a flow generated.
    """

    def on(self, space: Space) -> Self:
        return self  # pairs are kept, on every space

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if data is not None and not data.pairs:
            raise ComponentError(
                f"coupling 'paired' keeps the pairs of the data, but {type(data).__name__} has no "
                "x0: use data 'pairs' (written by fmcore.write_pairs) or coupling 'independent'"
            )

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        return Pairing(x0, x1, condition)
