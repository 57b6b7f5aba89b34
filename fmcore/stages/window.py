"""How many shards are drawn together.

An adaptive solver whose samples take their own steps need not wait for the slowest of each batch:
over a window of several shards, samples that wait take the place of those that have arrived, and
what the end of a window wastes is shared by more of them.
"""

from __future__ import annotations

import math
from dataclasses import replace

from fmcore.interfaces.solver import Solver
from fmcore.solving.adaptive import AdaptiveSolver

__all__ = ["taking_turns", "window"]

LARGEST = 8
"""Shards in a window: their states are in memory together, and a stop waits for them."""


def window(solver: Solver, shards: int, processes: int = 1) -> int:
    """How many of `shards` each process draws at once: as evenly as they go into windows of 8 at
    most, or one by one where nothing is won.
    """
    if taking_turns(solver, 1) is None:
        return 1
    each = max(1, math.ceil(shards / processes))
    return math.ceil(each / math.ceil(each / LARGEST))


def taking_turns(solver: Solver, lanes: int) -> Solver | None:
    """`solver` with no more than `lanes` samples on their way at once; None if it cannot."""
    if not isinstance(solver, AdaptiveSolver) or solver.coupling != "sample":
        return None
    return replace(solver, slots=min(lanes, solver.slots or lanes))
