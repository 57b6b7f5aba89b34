"""Measurement of a point by a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Operator
from fmcore_guidance.measurement import read_matrix

__all__ = ["Linear"]


@final
@dataclass(frozen=True)
class Linear(Operator):
    """y = A x1 for points of d numbers, with A the rows of `matrix` or of the array in `file`.

    `file` is a `.npy` of shape (measured, d).  One of the two must be given.
    """

    matrix: tuple[tuple[float, ...], ...] | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.matrix is None) == (self.file is None):
            raise ComponentError("operator 'linear' needs either matrix or file")
        if self.matrix is not None:
            rows = tuple(tuple(map(float, row)) for row in self.matrix)
            object.__setattr__(self, "matrix", rows)
            if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
                raise ComponentError("operator 'linear': the rows of matrix must be of one length")

    @cached_property
    def _a(self) -> Tensor:
        if self.file is not None:
            return read_matrix(self.file)
        return torch.tensor(self.matrix, dtype=torch.float64)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != (self._a.shape[1],):
            raise ComponentError(
                f"operator 'linear': the matrix has {self._a.shape[1]} columns, and a data point "
                f"the shape {list(shape)}"
            )
        return (self._a.shape[0],)

    def apply(self, x: Tensor) -> Tensor:
        return x @ self._a.to(x).T

    def adjoint(self, y: Tensor) -> Tensor:
        return y @ self._a.to(y)
