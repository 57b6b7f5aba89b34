"""The uniform distribution of a space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Euclidean, Rows, Source, Space

__all__ = ["Uniform"]

FLAT = Euclidean()
"""The space before the data give one."""


@final
@dataclass(frozen=True)
class Uniform(Source):
    """Uniform points of the data's space: Haar measure of rotations, equally likely tokens.

    Refused in R^n.
    """

    space: Space = FLAT

    def on(self, space: Space) -> Self:
        if space.flat:
            raise ComponentError(
                "source 'uniform' needs data on a compact space, and these are points of R^n: use "
                "source 'gaussian'"
            )
        return replace(self, space=space)

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return self.space.uniform(rows, shape, dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return x.new_full((len(x),), -self.space.log_volume(tuple(x.shape[1:])))
