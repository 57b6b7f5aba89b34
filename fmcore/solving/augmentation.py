"""The divergence of the field, integrated beside the state: how much the flow stretches volume.

div u = tr J, J = du/dx.  Exact: one product with J for each element of x.  Hutchinson: tr J = E[e .
J e] for random e with mean 0 and covariance 1, e fixed along the whole trajectory so that the
augmented ODE is an ODE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.source import Condition
from fmcore.randomness import generator_for
from fmcore.solving.choice import require_choice
from fmcore.solving.evaluation import check_velocity
from fmcore.solving.forward_mode import estimates_ahead, trace_ahead
from fmcore.solving.problem import Problem, Velocity

__all__ = ["Augmentation", "Derivative", "Divergence", "ProbeLaw"]

Divergence = Literal["exact", "hutchinson"]
"""How a divergence is computed: as the trace of the Jacobian, or by Hutchinson's estimator."""
ProbeLaw = Literal["rademacher", "gaussian"]
"""The distribution of the probes of Hutchinson's estimator."""
Derivative = Literal["vjp", "jvp"]
"""The mode of differentiation: reverse (`vjp`) or forward (`jvp`)."""


@final
@dataclass(frozen=True)
class Augmentation:
    """How the divergence is taken.

    `exact` costs one backward pass for each element of a sample; `hutchinson` one for each of
    `n_probes`.  Rademacher probes (entries -1 and 1) are exact where the Jacobian is diagonal and
    vary less than Gaussian ones elsewhere. Probes of sample i are a function of (seed, i) alone.

    `by` is the mode of differentiation: `vjp` keeps the field's activations for backward passes;
    `jvp` runs the field with tangents instead, and keeps none.  Both give the same value; `vjp` is
    the faster on a CPU.
    """

    divergence: Divergence = "exact"
    probe: ProbeLaw = "rademacher"
    n_probes: Annotated[int, Gt(0)] = 1
    by: Derivative = "vjp"

    def __post_init__(self) -> None:
        require_choice("divergence", self.divergence, Divergence)
        require_choice("probe", self.probe, ProbeLaw)
        require_choice("by", self.by, Derivative)
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

    def probes(self, problem: Problem, rows: Tensor, dtype: torch.dtype) -> Tensor | None:
        """The probes of these rows of the problem, `(rows, n_probes, *shape)`; None for the exact
        divergence.
        """
        if self.divergence == "exact":
            return None
        ids = rows if problem.sample_ids is None else problem.sample_ids.to(rows.device)[rows]
        shape = (self.n_probes, *problem.x0.shape[1:])
        drawn = [self._draw(shape, problem.seed, sample, dtype) for sample in ids.tolist()]
        return torch.stack(drawn).to(problem.x0.device)

    def evaluate(
        self,
        field: Velocity,
        x: Tensor,
        t: Tensor,
        condition: Condition | None,
        probes: Tensor | None,
        *,
        keep_graph: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The velocity and its divergence by each probe, `(batch, n_probes)`, or `(batch, 1)` if
        exact.

        Without `keep_graph` no graph is left behind, and none is needed around the call.  Raises
        ComponentError for a field that cannot be differentiated.
        """
        if self.by == "jvp":
            return self._ahead(field, x, t, condition, probes, keep_graph)
        with torch.enable_grad():
            x = x if keep_graph and x.requires_grad else x.detach().requires_grad_()
            velocity = field(x, t) if condition is None else field(x, t, condition)
            check_velocity(field, velocity, x)
            if not velocity.requires_grad:
                _require_constant(field, velocity, x, t, condition)
                return velocity, x.new_zeros(len(x), self.columns)
            if probes is None:
                divergence = _trace(velocity, x, keep_graph)
            else:
                divergence = _estimates(velocity, x, probes, keep_graph)
        return (velocity if keep_graph else velocity.detach()), divergence

    def _ahead(
        self,
        field: Velocity,
        x: Tensor,
        t: Tensor,
        condition: Condition | None,
        probes: Tensor | None,
        keep_graph: bool,
    ) -> tuple[Tensor, Tensor]:
        """The same by forward-mode differentiation."""

        def f(x: Tensor) -> Tensor:
            velocity = field(x, t) if condition is None else field(x, t, condition)
            check_velocity(field, velocity, x)
            return velocity

        with torch.set_grad_enabled(keep_graph):
            if probes is None:
                velocity, divergence = trace_ahead(f, x)
            else:
                velocity, divergence = estimates_ahead(f, x, probes)
            if divergence is None:
                _require_constant(field, velocity, x, t, condition)
                divergence = x.new_zeros(len(x), self.columns)
        return velocity, divergence

    def _draw(self, shape: tuple[int, ...], seed: int, sample: int, dtype: torch.dtype) -> Tensor:
        generator = generator_for(seed, "probe", sample)
        if self.probe == "gaussian":
            return torch.randn(shape, generator=generator, dtype=dtype)
        return torch.randint(0, 2, shape, generator=generator).to(dtype) * 2 - 1


def _trace(velocity: Tensor, x: Tensor, keep_graph: bool) -> Tensor:
    """sum_i du_i / dx_i of each row, `(batch, 1)`: rows do not depend on one another, so one
    backward pass serves the batch.
    """
    flat = velocity.flatten(1)
    size = flat.shape[1]
    total = x.new_zeros(len(x))
    for i in range(size):
        row = _backward(flat[:, i].sum(), x, None, i + 1 < size, keep_graph)
        total = total + row.flatten(1)[:, i]
    return total.unsqueeze(1)


def _estimates(velocity: Tensor, x: Tensor, probes: Tensor, keep_graph: bool) -> Tensor:
    """e . J e of each probe, `(batch, n_probes)`."""
    found = []
    for i in range(probes.shape[1]):
        e = probes[:, i]
        row = _backward(velocity, x, e, i + 1 < probes.shape[1], keep_graph)
        found.append((row * e).flatten(1).sum(1))
    return torch.stack(found, 1)


def _backward(y: Tensor, x: Tensor, e: Tensor | None, more: bool, keep_graph: bool) -> Tensor:
    """J^T e; the graph is let go after the last use."""
    (row,) = torch.autograd.grad(
        y, x, e, retain_graph=more or keep_graph, create_graph=keep_graph, materialize_grads=True
    )
    return row


def _require_constant(
    field: Velocity, velocity: Tensor, x: Tensor, t: Tensor, condition: Condition | None
) -> None:
    """A velocity without a graph is right only where it does not depend on x."""
    moved = x.detach() + 1e-2
    elsewhere = field(moved, t) if condition is None else field(moved, t, condition)
    if not torch.equal(elsewhere, velocity):
        raise ComponentError(
            "the divergence needs a field that autograd can follow, but its velocity carries no "
            "graph: "
            "do not wrap it in torch.no_grad or torch.inference_mode, and detach nothing"
        )
