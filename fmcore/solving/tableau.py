"""Runge-Kutta methods as data: exact coefficients, checked against the order conditions.

Stage i: k_i = u(x + h sum_j a_ij k_j, t + c_i h); result: x + h sum_i b_i k_i.  c_i is the sum of
row i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ComponentError
from fmcore.solving.rooted_trees import Tree, gamma, phi, trees

__all__ = ["Tableau"]

Number = Fraction | int | str

CONDITION_ATOL = 1e-13
"""The largest residual of an order condition: published decimals are rounded to 1e-16, and sums of
13 stages amplify that."""


@final
@dataclass(frozen=True, eq=False)  # compared by identity: hashing many fractions is slow
class Tableau:
    """The coefficients of an explicit method: whole numbers, fractions or strings such as "1/3" or
    "0.161".

    `a` holds the rows below the first (row i has i + 1 entries); `order` is the order of `b`.
    `embedded`, of order `embedded_order`, are the second weights, whose difference from `b`
    estimates an adaptive solver's error.  Raises ComponentError if an order condition fails.
    """

    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    order: int
    embedded: tuple[Fraction, ...] | None = None
    embedded_order: int = 0

    def __init__(
        self,
        a: Sequence[Sequence[Number]],
        b: Sequence[Number],
        order: int,
        embedded: Sequence[Number] | None = None,
        embedded_order: int = 0,
    ) -> None:
        values: dict[str, Any] = {
            "a": ((), *(_fractions(row) for row in a)),
            "b": _fractions(b),
            "order": order,
            "embedded": None if embedded is None else _fractions(embedded),
            "embedded_order": embedded_order,
        }
        # A frozen dataclass with an own constructor: Fractions are made from strings here.
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    @property
    def stages(self) -> int:
        """The number of evaluations in a step."""
        return len(self.b)

    @cached_property
    def c(self) -> tuple[Fraction, ...]:
        """The times of the stages, as fractions of the step."""
        return tuple(sum(row, Fraction(0)) for row in self.a)

    @property
    def fsal(self) -> bool:
        """Whether the last stage is the next step's first."""
        # First same as last: the last stage is evaluated at the state after the step.
        return self.a[-1] == self.b[:-1] and self.b[-1] == 0

    @cached_property
    def completed(self) -> Tableau:
        """The same method with the velocity at the end of the step as a last stage of weight 0."""
        if self.fsal:
            return self
        embedded = None if self.embedded is None else (*self.embedded, Fraction(0))
        a, b = (*self.a[1:], self.b), (*self.b, Fraction(0))
        return Tableau(a, b, self.order, embedded, self.embedded_order)

    def phi(self, tree: Tree) -> NDArray[np.float64]:
        """Return the elementary weight of `tree` at each stage, `(stages,)`, in float64."""
        return _phi(tree, self._matrix(), {})

    def defect(self, order: int, *, embedded: bool = False) -> float:
        """Return the largest |sum_i b_i phi_i - 1/gamma| over all trees of at most `order` nodes,
        in float64.
        """
        weights = np.array([float(w) for w in self._weights(embedded)])
        every = (tree for n in range(1, order + 1) for tree in trees(n))
        # every tree of order n is made of smaller ones: each is computed once
        a, known = self._matrix(), dict[Tree, NDArray[np.float64]]()
        return max(abs(float(weights @ _phi(tree, a, known)) - 1 / gamma(tree)) for tree in every)

    def exact_defect(self, order: int, *, embedded: bool = False) -> Fraction:
        """Return the same in exact arithmetic: 0 for a method given in exact fractions."""
        weights = self._weights(embedded)
        every = (tree for n in range(1, order + 1) for tree in trees(n))
        return max(  # type: ignore[no-any-return]  # elementary weights are of a's type
            abs(
                sum((w * p for w, p in zip(weights, phi(tree, self.a), strict=True)), Fraction(0))
                - Fraction(1, gamma(tree))
            )
            for tree in every
        )

    def _matrix(self) -> NDArray[np.float64]:
        a = np.zeros((self.stages, self.stages))
        for i, row in enumerate(self.a):
            a[i, : len(row)] = [float(w) for w in row]
        return a

    def _weights(self, embedded: bool) -> tuple[Fraction, ...]:
        return self.embedded if embedded and self.embedded is not None else self.b

    def _check(self) -> None:
        shape = [len(row) for row in self.a]
        if shape != list(range(self.stages)) or (
            self.embedded is not None and len(self.embedded) != self.stages
        ):
            raise ComponentError(
                f"a tableau of {self.stages} stages has rows of 1 to {self.stages - 1} entries "
                "below the first and as "
                f"many weights as stages; got rows of {shape[1:]}"
            )
        # A misprinted coefficient would only lower the order, which no single solve reveals.
        if (defect := self.defect(self.order)) > CONDITION_ATOL:
            raise ComponentError(
                f"tableau misses an order condition of order {self.order} by {defect:.1e}"
            )
        if self.embedded is not None and (
            (defect := self.defect(self.embedded_order, embedded=True)) > CONDITION_ATOL
        ):
            raise ComponentError(
                "tableau's embedded weights miss an order condition of order "
                f"{self.embedded_order} by {defect:.1e}"
            )


def _fractions(values: Sequence[Number]) -> tuple[Fraction, ...]:
    return tuple(Fraction(value) for value in values)


def _phi(
    tree: Tree, a: NDArray[np.float64], known: dict[Tree, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the elementary weights of `tree`; those of its subtrees are kept in `known`."""
    if tree not in known:
        weights = np.ones(len(a))
        for subtree in tree:
            weights = weights * (a @ _phi(subtree, a, known))
        known[tree] = weights
    return known[tree]
