"""The independent coupling of the paper, q(x0) q(x1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Coupling, Dataset, Pairing, Path

__all__ = ["Independent"]


@final
@dataclass(frozen=True)
class Independent(Coupling):
    """Noise independent of the data: rows stay as they were drawn.  Source: eq. 14."""

    independent: ClassVar[bool] = True

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if data is not None and data.pairs:
            raise ComponentError(
                f"dataset {type(data).__name__} comes in pairs of x0 and x1, which are not "
                "independent: use coupling 'paired'"
            )

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        return Pairing(x0, x1, condition)
