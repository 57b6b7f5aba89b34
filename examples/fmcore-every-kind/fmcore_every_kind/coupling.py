"""Pairs in the order of their means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from fmcore import ComponentError, Condition, Coupling, Dataset, Pairing, Path
from torch import Tensor

__all__ = ["EveryCoupling"]


@final
@dataclass(frozen=True)
class EveryCoupling(Coupling):
    """Pair the rows of noise and of data in the order of their means.

    This is optimal transport along one direction.  Each row of x0 and x1 is used once, and a row of
    data keeps its condition.
    """

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if path.noise().conditional:
            raise ComponentError(
                "coupling 'every_coupling' pairs noise with data of another condition than it was "
                "drawn from: use coupling 'independent'"
            )

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        partner = _rank(x1)
        return Pairing(x0[_order(x0)][partner], x1, condition)


def _order(x: Tensor) -> Tensor:
    """Return the indices of the rows, from the smallest mean to the largest."""
    return x.flatten(1).mean(1).argsort(stable=True)


def _rank(x: Tensor) -> Tensor:
    """Return the place of each row in that order."""
    return _order(x).argsort()
