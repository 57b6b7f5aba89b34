"""The explicit midpoint rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fmcore.solving import RungeKutta, Tableau

__all__ = ["Midpoint"]


@final
@dataclass(frozen=True)
class Midpoint(RungeKutta):
    """Order 2, two evaluations a step: the velocity at the middle of the step."""

    tableau = Tableau(a=[["1/2"]], b=[0, 1], order=2)
