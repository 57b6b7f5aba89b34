"""The methods of Heun and Ralston, of second and third order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fmcore.solving import RungeKutta, Tableau

__all__ = ["Heun2", "Heun3", "Ralston2"]


@final
@dataclass(frozen=True)
class Heun2(RungeKutta):
    """Order 2, two evaluations a step: the mean of the velocities at both ends of the step."""

    tableau = Tableau(a=[[1]], b=["1/2", "1/2"], order=2)


@final
@dataclass(frozen=True)
class Ralston2(RungeKutta):
    """Order 2, two evaluations a step: the method of this kind with the smallest error bound.

    Source: Ralston 1962.
    """

    tableau = Tableau(a=[["2/3"]], b=["1/4", "3/4"], order=2)


@final
@dataclass(frozen=True)
class Heun3(RungeKutta):
    """Order 3, three evaluations a step.  Source: Heun 1900."""

    tableau = Tableau(a=[["1/3"], [0, "2/3"]], b=["1/4", 0, "3/4"], order=3)
