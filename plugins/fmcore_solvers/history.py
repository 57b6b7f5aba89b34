"""What a multistep exponential integrator remembers, and when it must not extrapolate from it."""

from __future__ import annotations

from typing import final

from fmcore.solving import LinearExpr, Point

__all__ = ["LONGEST_LEAP", "History"]

LONGEST_LEAP = 3.0
"""A step in lam longer than this many times an earlier one is not extrapolated from it: as at the
end of `ot` stopped just short of 1, where lam grows without bound."""


@final
class History:
    """Past predictions of x1 and the lam at which they were made, the latest first."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._past: list[tuple[float, LinearExpr]] = []

    def add(self, point: Point, xhat: LinearExpr) -> None:
        """Remember `xhat`, made at `point`; beyond an infinite lam nothing is remembered."""
        self._past = [(point.lam, xhat), *self._past][: self._depth] if point.finite else []

    def behind(self, h: float) -> list[tuple[float, LinearExpr]]:
        """The predictions before the latest that a step of `h` in lam may be extrapolated from."""
        usable: list[tuple[float, LinearExpr]] = []
        for (later, _), earlier in zip(self._past, self._past[1:], strict=False):
            if abs(h) > LONGEST_LEAP * abs(later - earlier[0]):
                break
            usable.append(earlier)
        return usable
