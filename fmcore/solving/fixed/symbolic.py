"""Linear combinations of registers: what step code computes with while a plan is being written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

__all__ = ["LinearExpr"]


@final
class LinearExpr:
    """sum_r weight_r * register_r, as a symbol: adding and scaling is bookkeeping on the host, in
    double precision.

    Weights that cancel to exactly zero are forgotten, and with them the need for their register.
    """

    __slots__ = ("terms",)
    __array_ufunc__ = (
        None  # lets `numpy_number * linear` come to __rmul__ instead of making an array of objects
    )

    def __init__(self, terms: Mapping[int, float]) -> None:
        self.terms: dict[int, float] = {r: float(w) for r, w in terms.items() if w != 0}

    def __add__(self, other: LinearExpr | int) -> LinearExpr:
        if isinstance(other, int) and other == 0:  # the empty sum that `sum(...)` starts from
            return LinearExpr(self.terms)
        if not isinstance(other, LinearExpr):
            return NotImplemented
        total = dict(self.terms)
        for register, weight in other.terms.items():
            total[register] = total.get(register, 0.0) + weight
        return LinearExpr(total)

    __radd__ = __add__

    def __mul__(self, factor: float) -> LinearExpr:
        return LinearExpr({r: w * float(factor) for r, w in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> LinearExpr:
        return LinearExpr({r: w / float(divisor) for r, w in self.terms.items()})

    def __neg__(self) -> LinearExpr:
        return -1.0 * self

    def __sub__(self, other: LinearExpr) -> LinearExpr:
        return self + -other

    def __repr__(self) -> str:
        return " + ".join(f"{w:.6g} r{r}" for r, w in self.terms.items()) or "0"
