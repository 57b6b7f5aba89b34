"""The source of masked diffusion: every token is the mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Rows, Source, Space, Tokens

__all__ = ["Mask"]


@final
@dataclass(frozen=True)
class Mask(Source):
    """All tokens are the mask, the state number `classes`.  Needs a space with `mask: true`."""

    space: Space | None = None

    def on(self, space: Space) -> Self:
        if not (isinstance(space, Tokens) and space.mask):
            raise ComponentError(
                "source 'mask' needs tokens with a mask: set `mask: true` in the data, or use "
                "source 'uniform'"
            )
        return replace(self, space=space)

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return torch.full((len(rows), *shape), self._mask(), dtype=dtype, device=rows.device)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        masked = (x == self._mask()).flatten(1).all(1)
        return torch.where(masked, 0.0, -torch.inf).to(x.dtype)

    def _mask(self) -> float:
        if not isinstance(self.space, Tokens):
            raise ComponentError("source 'mask' has no space: give space=, or data")
        return float(self.space.classes)
