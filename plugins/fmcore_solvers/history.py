"""Past predictions of a multistep exponential integrator, and which of them it may use."""

from __future__ import annotations

from typing import final

from fmcore.solving import LinearExpr, Point

__all__ = ["MAX_STEP_RATIO", "History"]

MAX_STEP_RATIO = 3.0
"""The largest ratio of a step in lam to the one it is extrapolated from.  The last step of `ot` on
an interval that ends just below t = 1 exceeds it, since lam grows without bound."""


@final
class History:
    """The last `depth` predictions of x1 and their lam, the latest first."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._past: list[tuple[float, LinearExpr]] = []

    def add(self, point: Point, xhat: LinearExpr) -> None:
        """Store the prediction `xhat` at `point`; an infinite lam there clears the history."""
        self._past = [(point.lam, xhat), *self._past][: self._depth] if point.finite else []

    def usable(self, h: float) -> list[tuple[float, LinearExpr]]:
        """Return the predictions before the latest that a step of length `h` in lam may use."""
        usable: list[tuple[float, LinearExpr]] = []
        for (later, _), earlier in zip(self._past, self._past[1:], strict=False):
            if abs(h) > MAX_STEP_RATIO * abs(later - earlier[0]):
                break
            usable.append(earlier)
        return usable
