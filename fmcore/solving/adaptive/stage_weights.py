"""A tableau's numbers as chains of operations: a stage, and the error of a step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.solving.evaluation import device_tensor
from fmcore.solving.tableau import Tableau

__all__ = ["Row", "combined", "error_row", "nodes", "rows", "stage"]

Row = tuple[tuple[int, float], ...]
"""Weights that are not zero, with their stages."""


def stage(x: Tensor, k: Sequence[Tensor], row: Row, step: Tensor) -> Tensor:
    """x + step * sum of weight * k."""
    (number, weight), *rest = row
    out = torch.addcmul(x, step, k[number], value=weight)
    for number, weight in rest:
        out.addcmul_(step, k[number], value=weight)
    return out


def combined(k: Sequence[Tensor], row: Row) -> Tensor:
    """sum of weight * k."""
    (number, weight), *rest = row
    out = k[number] * weight
    for number, weight in rest:
        out.add_(k[number], alpha=weight)
    return out


@lru_cache(maxsize=32)
def rows(tableau: Tableau) -> tuple[Row, ...]:
    """The weights of each stage after the first."""
    return tuple(_nonzero(row) for row in tableau.a[1:])


@lru_cache(maxsize=64)
def error_row(tableau: Tableau, elements: int) -> Row:
    """The difference of the weights, over sqrt(elements), so that a 2-norm is an RMS."""
    if tableau.embedded is None:
        raise ComponentError("an adaptive solver's tableau needs embedded weights")
    row = _nonzero([b - e for b, e in zip(tableau.b, tableau.embedded, strict=True)])
    return tuple((number, weight * elements**-0.5) for number, weight in row)


@lru_cache(maxsize=64)
def nodes(tableau: Tableau, sign: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Where in the step the stages after the first lie, `(stages - 1, 1)`, in time's direction."""
    return device_tensor([[sign * float(c)] for c in tableau.c[1:]], dtype, device)


def _nonzero(weights: Sequence[Fraction]) -> Row:
    return tuple((number, float(weight)) for number, weight in enumerate(weights) if weight != 0)
