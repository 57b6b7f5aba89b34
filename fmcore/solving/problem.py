"""What a solver is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from torch import Tensor

from fmcore.interfaces.path import Path
from fmcore.interfaces.source import Condition

__all__ = ["Gradients", "Problem", "Solution", "Stats", "Status", "Velocity"]

Gradients = Literal["none", "checkpoint", "direct"]
"""`none`: the solve keeps no graph.  `direct`: autograd through every operation.  `checkpoint`: the
same gradient, keeping only the states between steps and computing each step again on the way
back."""

Velocity = Callable[..., Tensor]
"""`field(x, t)`, or `field(x, t, condition)` where the problem has a condition; t is `(batch,)`."""


class Status(IntEnum):
    """How the solve of one sample ended."""

    SUCCESS = 0
    MAX_STEPS = 1
    DT_MIN = 2
    NONFINITE = 3
    MAX_NFE = 4


@dataclass(frozen=True)
class Problem:
    """dx/dt = field(x, t) from x0 at t0 to t1.

    `t0` and `t1` may stand in either order; within [0, 1] they are moved to the nearest point of
    the path's interval [t_min, t_max], so that 0 and 1 always mean its ends.  `sample_ids` and
    `seed` name the random streams of stochastic solvers and divergence probes: sample i is a
    function of (seed, i) alone.
    """

    field: Velocity
    x0: Tensor
    t0: float = 0.0
    t1: float = 1.0
    path: Path | None = None
    condition: Condition | None = None
    sample_ids: Tensor | None = None
    seed: int = 0
    times: tuple[float, ...] | None = None
    grad: Gradients = "none"


@dataclass(frozen=True)
class Stats:
    """What a solve cost.

    `nfe` is `(batch,)` int64: velocity evaluations of each sample.  `calls` counts calls of the
    field, each a whole batch; `rejected` the attempts thrown away, summed over samples.  `extra`
    holds `nfe_asked` where there was a budget, `forwards` where the field counts its network,
    `evaluations` (rows evaluated, useful or not).
    """

    nfe: Tensor
    calls: int = 0
    steps: int = 0
    rejected: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Solution:
    """Where every sample arrived: `x` is `(batch, *shape)`, `status` (of Status) and `t_reached`
    are `(batch,)`.

    `logdet` is the integral of the divergence, `(batch,)`, where it was asked for; `trajectory` the
    states at the times asked for, `(times, batch, *shape)`.
    """

    x: Tensor
    status: Tensor
    t_reached: Tensor
    stats: Stats
    logdet: Tensor | None = None
    trajectory: Tensor | None = None
