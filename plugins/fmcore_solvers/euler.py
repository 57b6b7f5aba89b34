"""Euler's method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fmcore.solving import RungeKutta, Tableau

__all__ = ["Euler"]


@final
@dataclass(frozen=True)
class Euler(RungeKutta):
    """Order 1, one evaluation a step: the velocity at the start of the step."""

    tableau = Tableau(a=[], b=[1], order=1)
