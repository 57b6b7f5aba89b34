"""What a solver is measured on: a field, start points, and reference end points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from fmcore.interfaces.path import Path
from fmcore.interfaces.problem import Problem, Velocity
from fmcore.interfaces.source import Condition

__all__ = ["Task"]


@final
@dataclass(frozen=True)
class Task:
    """A field and start points `x0`, `(samples, *shape)`; `reference` holds the end points of all
    samples, or of the first ones, on the CPU in double precision.  `batch` 0 is all samples.
    """

    field: Velocity
    x0: Tensor
    reference: Tensor
    path: Path
    batch: int
    seed: int = 0
    condition: Condition | None = None

    def problems(self, field: Velocity) -> Iterator[Problem]:
        """Yield the problems of one pass over all samples, with `field` as their field."""
        for first in range(0, len(self.x0), self.batch or len(self.x0)):
            rows = slice(first, first + (self.batch or len(self.x0)))
            x0 = self.x0[rows]
            yield Problem(
                field=field,
                x0=x0,
                path=self.path,
                condition=self._rows(rows),
                sample_ids=torch.arange(first, first + len(x0)),
                seed=self.seed,
            )

    def _rows(self, rows: slice) -> dict[str, Any] | None:
        if self.condition is None:
            return None
        return {name: value[rows] for name, value in self.condition.items()}
