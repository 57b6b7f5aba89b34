"""Measurement of the differences between neighbouring numbers of a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from fmcore import ComponentError, Operator
from torch import Tensor

__all__ = ["EveryOperator"]


@final
@dataclass(frozen=True)
class EveryOperator(Operator):
    """y = the differences between neighbouring numbers of a point.

    A point of d numbers gives d - 1; the option `noise` is that of every operator.
    """

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 1 or shape[0] < 2:
            raise ComponentError(
                f"operator 'every_operator' needs points of two or more numbers, not {list(shape)}"
            )
        return (shape[0] - 1,)

    def apply(self, x: Tensor) -> Tensor:
        return x[:, 1:] - x[:, :-1]

    def adjoint(self, y: Tensor) -> Tensor:
        edge = torch.zeros_like(y[:, :1])
        return torch.cat([edge, y], 1) - torch.cat([y, edge], 1)
