"""The density that a flow gives to data.

    log p(x1) = log p0(x(t0)) - integral from t0 to t1 of div u(x(t), t) dt

solved backwards from x1: the state goes from t1 to t0 and the divergence is integrated on the way.
Source: Chen et al. 2018 (arXiv 1806.07366), eq. 3; Lipman et al. 2023, App. C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.flow.field import prepared
from fmcore.interfaces.path import Path
from fmcore.interfaces.problem import (
    Augmentation,
    Autodiff,
    Divergence,
    ProbeLaw,
    Problem,
    Stats,
    Velocity,
)
from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition

if TYPE_CHECKING:
    pass

__all__ = ["LogProb", "Prior", "log_prob"]


class Prior(Protocol):
    """Where the flow starts: anything with a log-density in nats, `(batch,)` for x `(batch,
    *shape)`.
    """

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of each row."""


@final
@dataclass(frozen=True)
class LogProb:
    """Log-densities in nats.

    `log_prob` is `(batch,)`; `x0` where each point comes from; `error` the standard error that the
    probes leave, `(batch,)`, None for the exact divergence and for a single probe; `status` how
    each solve ended (of Status).
    """

    log_prob: Tensor
    x0: Tensor
    stats: Stats
    status: Tensor
    error: Tensor | None = None


def log_prob(
    field: Velocity,
    x1: Tensor,
    *,
    path: Path | None = None,
    prior: Prior | None = None,
    solver: Solver | None = None,
    divergence: Divergence = "exact",
    n_probes: int = 1,
    probe: ProbeLaw = "rademacher",
    seed: int = 0,
    sample_ids: Tensor | None = None,
    condition: Condition | None = None,
    autodiff: Autodiff = "reverse",
) -> LogProb:
    """The log-density of `x1`, `(batch, *shape)`, under the flow of `field` from `prior`.

    The prior is the path's own unless one is given; without a path the flow runs over [0, 1].  The
    solver is `dopri5` at tolerance 1e-5 unless one is given, and must integrate divergences, as all
    of fmcore's do.  The exact divergence costs a backward pass per element of a sample,
    `hutchinson` one per probe: probes are fixed along the trajectory, a function of (seed, sample
    id) alone.  `condition` is raw; rows with a mask are refused, as they have no common dimension.
    `autodiff` is the mode of differentiation (see `Augmentation`).  Computed in x1's dtype, at
    least float32; keeps no graph. Raises ComponentError without path and prior, or for a solver
    that cannot do it.
    """
    if prior is None and path is None:
        raise ComponentError("log_prob needs to know where the flow starts: give path= or prior=")
    if condition is not None and "mask" in condition:
        raise ComponentError(
            "log_prob needs points of one dimension, and a mask in the condition gives each row a "
            "dimension of its own: measure data without a mask"
        )
    with torch.inference_mode(False), torch.no_grad():
        raw = condition and {n: _outside_inference(v) for n, v in condition.items()}
        problem = Problem(
            field=field,
            x0=_outside_inference(x1),
            t0=1.0,
            t1=0.0,
            path=path,
            condition=prepared(field, raw),
            sample_ids=sample_ids,
            seed=seed,
            augmentation=Augmentation(divergence, probe, n_probes, autodiff),
        )
        solution = (solver or _default_solver()).solve(problem)
        if solution.logdet is None:
            raise ComponentError(
                f"solver {type(solver).__name__} does not integrate divergences: use one of "
                "fmcore's, such as dopri5"
            )
        start = _log_density(prior, path, solution.x, condition)
        return LogProb(
            log_prob=start + solution.logdet,
            x0=solution.x,
            stats=solution.stats,
            status=solution.status,
            error=solution.logdet_error,
        )


def _log_density(
    prior: Prior | None, path: Path | None, x: Tensor, condition: Condition | None
) -> Tensor:
    if prior is not None:
        found = prior.log_prob(x)
    elif path is not None:
        prior = path.prior()
        found = prior.log_prob(x, condition)
    else:
        raise ComponentError("log_prob needs path= or prior=")
    require_shape(found, (len(x),), f"log_prob of the prior {type(prior).__name__}")
    return found


def _default_solver() -> Solver:
    from fmcore.recipe.create import (
        create,  # the default is a plugin's, as the core has no named solver
    )

    solver: Solver = create("solver", "dopri5", rtol=1e-5, atol=1e-5)
    return solver


def _outside_inference(x: Tensor) -> Tensor:
    """Inference tensors cannot be differentiated."""
    return x.clone() if x.is_inference() else x
