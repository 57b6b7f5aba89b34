"""The arguments and the results of a solve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    "Divergence",
    "Gradients",
    "ProbeLaw",
    "Problem",
    "Solution",
    "SolverCallback",
    "SolverProgress",
    "Stats",
    "Status",
    "Velocity",
]

Gradients = Literal["none", "checkpoint", "direct"]
"""`none`: no graph.  `direct`: autograd through every operation.  `checkpoint`: the same gradient,
with only the states between steps in memory; the backward pass computes each step again."""


Velocity = Callable[..., Tensor]
"""`field(x, t)`, or `field(x, t, condition)` where the problem has a condition: x is
`(batch, *shape)`, t `(batch,)`, and the result has x's shape and dtype."""


Divergence = Literal["exact", "hutchinson"]
"""How a divergence is computed: as the trace of the Jacobian, or by Hutchinson's estimator."""

ProbeLaw = Literal["rademacher", "gaussian"]
"""The distribution of the probes of Hutchinson's estimator."""

Autodiff = Literal["reverse", "forward"]
"""The mode of differentiation for the divergence."""


@final
@dataclass(frozen=True)
class Augmentation:
    """Options of the integral of the divergence along a solve.

    `exact` costs one backward pass for each element of a sample; `hutchinson` one for each of
    `n_probes`.  Rademacher probes (entries -1 and 1) are exact where the Jacobian is diagonal, and
    vary less than Gaussian ones elsewhere.  The probes of sample i are a function of (seed, i)
    alone.

    `autodiff` is the mode of differentiation: `reverse` stores the field's activations for backward
    passes; `forward` computes tangents with the field instead, and stores none.  Both give the same
    value; `reverse` is faster on a CPU.

    `logdet_atol` > 0 bounds the error of the integral in each step of an adaptive solver, in nats;
    math.inf turns this control off.  By default the bound is d atol + rtol |logdet|, with the
    solver's tolerances and d the number of elements of a sample.  Fixed solvers ignore it.  Raises
    ComponentError for other values.
    """

    divergence: Divergence = "exact"
    probe: ProbeLaw = "rademacher"
    n_probes: Annotated[int, Gt(0)] = 1
    autodiff: Autodiff = "reverse"
    logdet_atol: Annotated[float, Gt(0)] | None = None

    def __post_init__(self) -> None:
        require_choice("divergence", self.divergence, Divergence)
        require_choice("probe", self.probe, ProbeLaw)
        require_choice("autodiff", self.autodiff, Autodiff)
        if self.n_probes < 1:
            raise ComponentError(f"n_probes must be at least 1, got {self.n_probes}")
        if self.logdet_atol is not None and not self.logdet_atol > 0:
            raise ComponentError(f"logdet_atol must be above 0 nats, got {self.logdet_atol}")

    @property
    def columns(self) -> int:
        """The number of estimates of the divergence."""
        return 1 if self.divergence == "exact" else self.n_probes

    def summary(self, logdet: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the mean of `logdet`, `(batch, columns)`, over the probes, and its standard error,
        each `(batch,)`; None for the error of a single column.
        """
        if self.columns == 1:
            return logdet.squeeze(1), None
        mean = logdet.mean(1)
        if not len(logdet):  # std() warns about an empty batch
            return mean, mean.clone()
        return mean, logdet.std(1) / self.columns**0.5


class Status(IntEnum):
    """The end of one sample's solve; SUCCESS means that it reached t1."""

    SUCCESS = 0
    MAX_STEPS = 1
    DT_MIN = 2
    NONFINITE = 3
    MAX_NFE = 4


@dataclass(frozen=True)
class Problem:
    """The initial value problem dx/dt = field(x, t) from x0, `(batch, *shape)`, at t0 to t1.

    A solver may call the field with any subset of the rows of x0, together with their rows of
    `condition`: all data that belong to a sample must be there.

    `t0` may be above `t1`.  With a path, both are in [0, 1] and are moved to the nearest point of
    its interval [t_min, t_max], so that 0 and 1 stand for its ends.  `sample_ids`, `(batch,)`
    integers, and `seed` determine the noise of stochastic solvers and the divergence probes: that
    of sample i is a function of (seed, i) alone.  By default the ids are 0, 1, ...

    `times`, a sequence or tensor of numbers in any order, are the times of the states in the
    solution's trajectory.
    `augmentation` adds the integral of the field's divergence.  `grad` is the gradient mode with
    respect to x0 and the field's parameters.  `callback` is called with a `SolverProgress` after
    every step, in an adaptive solver after every `sync_every` steps.
    """

    field: Velocity
    x0: Tensor
    t0: float = 0.0
    t1: float = 1.0
    path: Path | None = None
    condition: Condition | None = None
    sample_ids: Tensor | None = None
    seed: int = 0
    times: Sequence[float] | None = None
    augmentation: Augmentation | None = None
    grad: Gradients = "none"
    callback: SolverCallback | None = None

    def __post_init__(self) -> None:
        require_choice("Problem: grad", self.grad, Gradients)
        if not callable(self.field):
            raise ComponentError(f"Problem: field must be a function of (x, t), got {self.field!r}")
        if self.callback is not None and not callable(self.callback):
            raise ComponentError(f"Problem: callback must be a function, got {self.callback!r}")
        if not isinstance(self.augmentation, Augmentation | None):
            raise ComponentError(
                f"Problem: augmentation must be an Augmentation, got {self.augmentation!r}"
            )
        for name in ("t0", "t1"):
            object.__setattr__(self, name, _finite_time(name, getattr(self, name)))
        if self.times is not None:
            object.__setattr__(self, "times", _finite_times(self.times))


def _finite_times(times: Any) -> tuple[float, ...]:
    if isinstance(times, str) or not isinstance(times, Iterable) or getattr(times, "ndim", 1) != 1:
        found = f"shape {tuple(times.shape)}" if isinstance(times, Tensor) else repr(times)
        raise ComponentError(f"Problem: times must be a sequence of numbers, got {found}")
    return tuple(_finite_time("times", t) for t in times)


def _finite_time(name: str, value: Any) -> float:
    if isinstance(value, Tensor) and value.requires_grad:
        # float() would drop the graph, and with it a gradient that the caller expects.
        raise ComponentError(
            f"Problem: no gradient reaches {name}: give a number, such as {name}.item(); "
            "the derivative of x(t1) by t1 is the field there"
        )
    try:
        time = float(value)
    except (TypeError, ValueError, RuntimeError):
        time = math.nan
    if isinstance(value, str) or not math.isfinite(time):
        raise ComponentError(f"Problem: {name}: a solve needs finite times, got {value!r}")
    return time


@dataclass(frozen=True)
class Stats:
    """The cost of a solve.

    `nfe`, `(batch,)` int64, are the velocity evaluations of each sample.  `calls` counts calls of
    the field with a batch, `steps` the steps (attempted ones in an adaptive solver), and `rejected`
    the rejected steps, summed over samples.  `extra` holds `nfe_asked` if there was a budget,
    `forwards` if the field counts its network, `evaluations` (rows computed, needed or not).
    """

    nfe: Tensor
    calls: int = 0
    steps: int = 0
    rejected: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Solution:
    """The end state of every sample: `x` is `(batch, *shape)`, `status` (of Status) and `t_reached`
    are `(batch,)`.

    With an augmentation, `logdet` is the integral of the divergence from t0 to t1, `(batch,)`, and
    `logdet_error` its standard error over several probes.  With times, `trajectory` holds the
    states there, `(times, batch, *shape)`, NaN at times that a sample did not reach.
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
    """The progress of a solve, as known to the host without waiting for the device.

    `progress` is the fraction of the interval that is done, from 0 to 1, averaged over samples;
    `step` counts steps (attempted ones in an adaptive solver); `running` is the number of samples
    that had neither finished nor failed when the host last read it.
    """

    progress: float
    step: int
    running: int
    _states: Callable[[], Tensor]

    @property
    def x(self) -> Tensor:
        """A copy of the current states, `(batch, *shape)`; samples of an adaptive solver may be at
        different times.

        Read it only during the callback.  Reading the values of the copy waits for the device.
        """
        return self._states()


SolverCallback = Callable[[SolverProgress], None]
"""A function that is called during a solve; an exception in it ends the solve."""
