"""Options of an adaptive solve, and the controller that accepts steps and sets the next step size.

Where the host decides, step sizes are Python numbers if the batch shares them and NumPy arrays if
each sample has its own; where the device decides, they are tensors.  `Arithmetic` holds the
operations of each, so that a rule is written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from fmcore.solving.evaluation import constant
from fmcore.solving.tableau import Tableau

__all__ = ["AdaptiveOptions", "Arithmetic", "Controller", "StepControl", "Verdict", "arithmetic_of"]

LARGEST_RATIO = 1e10  # replaces an error that is not finite
SMALLEST_RATIO = 1e-10  # keeps log finite; the factor has reached `longest` long before
REMEMBERED_RATIO = 1e-4  # bounds the influence of one step that was far too small.  HNW I, II.4

StepControl = Literal["per_sample", "batch_max", "batch_rms"]
"""`per_sample`: each sample has its own time, step size and error.  `batch_max`: one step size for
the batch, set by the largest error among running samples.  `batch_rms`: one step size, set by the
RMS error over running samples; a few hard samples then exceed the tolerance."""


@final
@dataclass(frozen=True)
class AdaptiveOptions:
    """What the integration loop reads of an adaptive solver (see `AdaptiveSolver`).

    A method has a `tableau`, or is an Adams method of up to `history` velocities.
    """

    tableau: Tableau | None
    history: int
    controller: Controller
    rtol: float
    atol: float
    step_control: StepControl
    max_steps: int
    max_nfe: int | None
    first_step: float | None
    sync_every: int | None
    max_active: int | None
    compact_finished: bool

    @property
    def nfe_per_attempt(self) -> int:
        """Evaluations of one attempted step; the velocity at its start is known already."""
        return 1 if self.tableau is None else self.tableau.completed.stages - 1

    @property
    def error_order(self) -> int:
        """The order of the estimated error of a step: 1 + that of the lower of both methods."""
        return self.history + 1 if self.tableau is None else self.tableau.embedded_order + 1

    @property
    def start_order(self) -> int:
        """The same for the first step, at which a multistep method has one velocity."""
        return 2 if self.tableau is None else self.error_order

    @property
    def is_shared(self) -> bool:
        """Whether the batch shares one step size."""
        return self.step_control != "per_sample"


class Arithmetic(NamedTuple):
    """Operations on step sizes and error ratios: Python numbers, arrays or tensors.

    `number` makes a constant; `add(a, b, scale)` is a + scale * b; `minimum(a, b)` is b where a is
    NaN.
    """

    number: Callable[[float], Any]
    add: Callable[[Any, Any, float], Any]
    log: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    where: Callable[[Any, Any, Any], Any]


def arithmetic_of(value: Any) -> Arithmetic:
    """Return the operations for values like `value`, a Python number, an array or a tensor."""
    if isinstance(value, Tensor):
        return _arithmetic_of_tensors(value.dtype, value.device)
    return _OF_ARRAYS if isinstance(value, np.ndarray) else _OF_NUMBERS


_OF_NUMBERS = Arithmetic(
    number=float,
    add=lambda a, b, scale: a + scale * b,
    log=math.log,
    exp=math.exp,
    minimum=lambda a, b: a if a < b else b,
    maximum=max,
    where=lambda condition, a, b: a if condition else b,
)

# On short vectors an operation of NumPy takes a quarter of the time of one of torch.
_OF_ARRAYS = Arithmetic(
    number=np.array,
    add=lambda a, b, scale: a + scale * b,
    log=np.log,
    exp=np.exp,
    minimum=np.fmin,
    maximum=np.maximum,
    where=np.where,
)


@lru_cache(maxsize=64)
def _arithmetic_of_tensors(dtype: torch.dtype, device: torch.device) -> Arithmetic:
    return Arithmetic(
        number=partial(constant, dtype=dtype, device=device),
        add=lambda a, b, scale: torch.add(a, b, alpha=scale),
        log=torch.log,
        exp=torch.exp,
        minimum=torch.fmin,  # unlike torch.minimum, not NaN where a is
        maximum=torch.maximum,
        where=torch.where,
    )


class Verdict(NamedTuple):
    """Whether to `accept` a step, the `factor` for the next step size, and the `memory` and `limit`
    of the next call of `Controller.judge`.
    """

    accept: Any
    factor: Any
    memory: Any
    limit: Any


@final
@dataclass(frozen=True)
class Controller:
    """Accepts a step whose error ratio r is at most 1, and sets the next step size by a PI rule.

    factor = clip(safety r^(-(i + p)/k) r_prev^(p/k), shortest, longest), where r is the error over
    its tolerance, r_prev that of the last accepted step, and k the order of the error estimate + 1.

    i = 1, p = 0 is the classical I controller.  The default, PI, rejects fewer steps.  After a
    rejection the factor is the I controller's and at most 1, and the next accepted step does not
    grow either.  Computed in logarithms.
    Source: Hairer, Norsett, Wanner I, II.4; Soderlind 2003.
    """

    i: float = 0.3
    p: float = 0.4
    safety: float = 0.9
    shortest: float = 0.2
    longest: float = 10.0

    def start(self, like: Any) -> tuple[Any, Any]:
        """Return the memory and the limit before the first step: r_prev = 1, and any growth."""
        return 0 * like + math.log(self.safety), 0 * like + math.log(self.longest)

    def judge(self, ratio: Any, memory: Any, limit: Any, k: int) -> Verdict:
        """Judge steps by their error ratio, a number or a tensor; one that is not finite rejects.

        `memory` is log(safety r_prev^(p/k)), `limit` the logarithm of the largest factor.
        """
        return self.bind(arithmetic_of(ratio), k)(ratio, memory, limit)

    def bind(self, of: Arithmetic, k: int) -> Callable[[Any, Any, Any], Verdict]:
        """Return `judge` for ratios of this arithmetic, with its constants computed once."""
        number, by_i, by_p = of.number, -(self.i + self.p) / k, self.p / k
        one, largest, smallest = number(1.0), number(LARGEST_RATIO), number(SMALLEST_RATIO)
        log_safety, log_shortest = number(math.log(self.safety)), number(math.log(self.shortest))
        log_longest, no_growth = number(math.log(self.longest)), number(0.0)
        log_remembered = number(math.log(REMEMBERED_RATIO))
        add, where, minimum, maximum, log, exp = (
            of.add,
            of.where,
            of.minimum,
            of.maximum,
            of.log,
            of.exp,
        )

        def judge(ratio: Any, memory: Any, limit: Any) -> Verdict:
            # NaN and infinity become a large ratio, which rejects with the shortest step.
            ratio = minimum(ratio, largest)
            accept = ratio <= one
            log_ratio = log(maximum(ratio, smallest))
            log_factor = where(
                accept, add(memory, log_ratio, by_i), add(log_safety, log_ratio, -1 / k)
            )
            log_factor = maximum(minimum(log_factor, limit), log_shortest)
            remembered = add(log_safety, maximum(log_ratio, log_remembered), by_p)
            return Verdict(
                accept=accept,
                factor=exp(log_factor),
                memory=where(accept, remembered, memory),
                # A larger step has just been rejected here.
                limit=where(accept, log_longest, no_growth),
            )

        return judge
