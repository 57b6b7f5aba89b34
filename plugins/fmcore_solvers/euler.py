"""Euler's method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fmcore.solving import RungeKutta, Tableau

__all__ = ["Euler"]


@final
@dataclass(frozen=True)
class Euler(RungeKutta):
    """Order 1, one evaluation a step: straight on along the velocity at the beginning."""

    tableau = Tableau(a=[], b=[1], order=1)
