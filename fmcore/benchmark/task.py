"""What a solver is measured on: a field, where the samples start, and where they should arrive."""

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
    """`x0` is `(samples, *shape)`, `reference` the true ends on the CPU in double precision, of all
    samples or of the first ones.
    """

    field: Velocity
    x0: Tensor
    reference: Tensor
    path: Path
    batch: int
    seed: int = 0
    condition: Condition | None = None

    def problems(self, field: Velocity) -> Iterator[Problem]:
        """The solves of one pass over all samples, with `field` in place of the own one."""
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
