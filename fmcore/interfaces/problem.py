"""What a solver is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Any, Literal, final

from annotated_types import Gt
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.options import require_choice
from fmcore.interfaces.path import Path
from fmcore.interfaces.source import Condition

__all__ = [
    "Augmentation",
    "Autodiff",
    "Callback",
    "Divergence",
    "Gradients",
    "ProbeLaw",
    "Problem",
    "Solution",
    "SolverProgress",
    "Stats",
    "Status",
    "Velocity",
]

Gradients = Literal["none", "checkpoint", "direct"]
"""`none`: the solve keeps no graph.  `direct`: autograd through every operation.  `checkpoint`: the
same gradient, keeping only the states between steps and computing each step again on the way
back."""


Velocity = Callable[..., Tensor]
"""`field(x, t)`, or `field(x, t, condition)` where the problem has a condition; t is `(batch,)`."""


Divergence = Literal["exact", "hutchinson"]
"""How a divergence is computed: as the trace of the Jacobian, or by Hutchinson's estimator."""

ProbeLaw = Literal["rademacher", "gaussian"]
"""The distribution of the probes of Hutchinson's estimator."""

Autodiff = Literal["reverse", "forward"]
"""The mode of differentiation for the divergence."""


@final
@dataclass(frozen=True)
class Augmentation:
    """How the divergence is taken.

    `exact` costs one backward pass for each element of a sample; `hutchinson` one for each of
    `n_probes`.  Rademacher probes (entries -1 and 1) are exact where the Jacobian is diagonal and
    vary less than Gaussian ones elsewhere. Probes of sample i are a function of (seed, i) alone.

    `autodiff` is the mode of differentiation: `reverse` keeps the field's activations for backward passes;
    `forward` runs the field with tangents instead, and keeps none.  Both give the same value; `reverse` is
    the faster on a CPU.
    """

    divergence: Divergence = "exact"
    probe: ProbeLaw = "rademacher"
    n_probes: Annotated[int, Gt(0)] = 1
    autodiff: Autodiff = "reverse"

    def __post_init__(self) -> None:
        require_choice("divergence", self.divergence, Divergence)
        require_choice("probe", self.probe, ProbeLaw)
        require_choice("autodiff", self.autodiff, Autodiff)
        if self.n_probes < 1:
            raise ComponentError(f"n_probes must be at least 1, got {self.n_probes}")

    @property
    def columns(self) -> int:
        """How many estimates of the divergence there are."""
        return 1 if self.divergence == "exact" else self.n_probes

    def summary(self, logdet: Tensor) -> tuple[Tensor, Tensor | None]:
        """The mean over probes of `(batch, columns)`, and its standard error where there are
        several.
        """
        if self.columns == 1:
            return logdet.squeeze(1), None
        return logdet.mean(1), logdet.std(1) / self.columns**0.5


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

    A solver may call the field with any rows of x0, together with their rows of `condition`:
    whatever belongs to a sample is given there.

    `t0` and `t1` may stand in either order; within [0, 1] they are moved to the nearest point of
    the path's interval [t_min, t_max], so that 0 and 1 always mean its ends.  `sample_ids` and
    `seed` name the random streams of stochastic solvers and divergence probes: sample i is a
    function of (seed, i) alone; without ids the rows count from 0.

    `times` asks for the states at these times, in any order, as the solution's trajectory.
    `augmentation` integrates the field's divergence along the way.  `grad` says how gradients flow
    to x0 and to the field's parameters.  `callback` is given a Moment after every step (of an
    adaptive solver: at every look at who has arrived, see `poll`); without one nothing is done.
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
    augmentation: Augmentation | None = None
    grad: Gradients = "none"
    callback: Callback | None = None

    def __post_init__(self) -> None:
        require_choice("Problem: grad", self.grad, Gradients)


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

    `logdet` is the integral of the divergence from t0 to t1, `(batch,)`, where it was asked for,
    and `logdet_error` its standard error if it was estimated with more than one probe; `trajectory`
    are the states at the times asked for, `(times, batch, *shape)`, NaN where a sample did not get.
    """

    x: Tensor
    status: Tensor
    t_reached: Tensor
    stats: Stats
    logdet: Tensor | None = None
    logdet_error: Tensor | None = None
    trajectory: Tensor | None = None


@final
@dataclass(frozen=True)
class SolverProgress:
    """How far a solve is, as far as the host knows without waiting for the device.

    `progress` is the share of the way, from 0 to 1, over all samples; `step` counts steps (attempts
    of an adaptive solver); `running` is how many samples had not arrived or failed when that was
    last looked at.
    """

    progress: float
    step: int
    running: int
    _states: Callable[[], Tensor]

    @property
    def x(self) -> Tensor:
        """The states now, `(batch, *shape)`, as a copy: an adaptive solver's samples are at times
        of their own.  To be read while the callback runs.  Only reading the copy's values waits.
        """
        return self._states()


Callback = Callable[[SolverProgress], None]
"""What to do at each moment; an exception that it raises ends the solve."""
