"""The coupling of the paper: q(x0) q(x1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore import Condition, Coupling, Pairing

__all__ = ["Independent"]


@final
@dataclass(frozen=True)
class Independent(Coupling):
    """Leaves rows as they were drawn, noise independent of data.  Source: eq. 14."""

    independent: ClassVar[bool] = True

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        return Pairing(x0, x1, condition)
