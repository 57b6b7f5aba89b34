"""Normal tangent vectors at a base point, wrapped around a manifold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Self, final

import torch
from annotated_types import Gt, Le
from torch import Tensor

from fmcore import ComponentError, Condition, Euclidean, Rows, Source, Space
from fmcore_spaces.compact import Compact

__all__ = ["WrappedNormal"]

FLAT = Euclidean()
"""The space before the data give one."""


@final
@dataclass(frozen=True)
class WrappedNormal(Source):
    """exp(o, scale e) for a standard normal tangent vector e at the base point o: angle 0, the last
    axis of a sphere, the identity rotation.

    The density sums over all tangent vectors that end at a point; `scale` is at most 5.
    """

    scale: Annotated[float, Gt(0), Le(5)] = 1.0
    space: Space = FLAT

    def on(self, space: Space) -> Self:
        if not isinstance(space, Compact):
            raise ComponentError(
                f"source 'wrapped_normal' needs a torus, a sphere or so3, not "
                f"{type(space).__name__}: use source 'gaussian' in R^n, 'uniform' for tokens"
            )
        return replace(self, space=space)

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        space = self._space()
        origin = space.origin(shape, dtype).to(rows.device).expand(len(rows), *shape)
        return space.exp(origin, self.scale * space.standard_normal(rows, shape, dtype))

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        found = self._space().log_wrapped(x, self.scale)
        return found.flatten(1).sum(1) if found.ndim > 1 else found

    def _space(self) -> Compact:
        if not isinstance(self.space, Compact):
            raise ComponentError("source 'wrapped_normal' has no space: give space=, or data")
        return self.space
