"""The divergence of the field and its integral along a solve: the change of log-volume.

div u = tr J with J = du/dx.  Exact: one product with J for each element of x.  Hutchinson:
tr J = E[e . J e] for random probes e with mean 0 and covariance 1.  The probes are fixed along the
whole trajectory, so that the right-hand side of the augmented ODE is a function of (x, t).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Augmentation, Problem, Velocity
from fmcore.interfaces.randomness import generator_for
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import as_rows
from fmcore.solving.evaluation import check_velocity, field_name

__all__ = [
    "DivergenceField",
    "divergence_jvp",
    "draw_probes",
    "hutchinson_jvp",
    "velocity_and_divergence",
]


def draw_probes(
    how: Augmentation, problem: Problem, rows: Tensor, dtype: torch.dtype
) -> Tensor | None:
    """Return the probes of these rows of the problem, `(rows, n_probes, *shape)`; None for the
    exact divergence.
    """
    if how.divergence == "exact":
        return None
    # By sample, not by row, so that refill and batch size do not change a sample's probes.
    ids = rows if problem.sample_ids is None else problem.sample_ids.to(rows.device)[rows]
    shape = (how.n_probes, *problem.x0.shape[1:])
    # One generator for each sample is cheap compared with a backward pass of the field.
    drawn = [_draw_probe(how, shape, problem.seed, sample, dtype) for sample in ids.tolist()]
    if not drawn:
        return problem.x0.new_empty((0, *shape), dtype=dtype)
    return torch.stack(drawn).to(problem.x0.device)


def velocity_and_divergence(
    how: Augmentation,
    field: Velocity,
    x: Tensor,
    t: Tensor,
    condition: Condition | None,
    probes: Tensor | None,
    *,
    keep_graph: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the velocity, `(batch, *shape)`, and its divergence by each probe,
    `(batch, n_probes)`, or `(batch, 1)` if exact.

    Without `keep_graph` the results carry no graph, and gradients may be disabled around the call.
    Raises ComponentError for a field that cannot be differentiated.
    """
    if how.autodiff == "forward":
        return _by_jvp(how, field, x, t, condition, probes, keep_graph)
    with torch.enable_grad():
        # A leaf of its own: the graph to earlier steps is needed only for gradients of the solve.
        x = x if keep_graph and x.requires_grad else x.detach().requires_grad_()
        velocity = field(x, t) if condition is None else field(x, t, condition)
        check_velocity(field, velocity, x)
        if not velocity.requires_grad:
            _require_constant(field, velocity, x, t, condition)
            return velocity, x.new_zeros(len(x), how.columns)
        if probes is None:
            divergence = _trace(velocity, x, keep_graph)
        else:
            divergence = _estimates(velocity, x, probes, keep_graph)
    return (velocity if keep_graph else velocity.detach()), divergence


def _by_jvp(
    how: Augmentation,
    field: Velocity,
    x: Tensor,
    t: Tensor,
    condition: Condition | None,
    probes: Tensor | None,
    keep_graph: bool,
) -> tuple[Tensor, Tensor]:
    """Return the same by forward-mode differentiation."""

    def f(x: Tensor) -> Tensor:
        velocity = field(x, t) if condition is None else field(x, t, condition)
        check_velocity(field, velocity, x)
        return velocity

    # Tangents need no graph, so without gradients of the solve nothing is stored.
    with torch.set_grad_enabled(keep_graph):
        if probes is None:
            velocity, divergence = divergence_jvp(f, x)
        else:
            velocity, divergence = hutchinson_jvp(f, x, probes)
        if divergence is None:
            _require_constant(field, velocity, x, t, condition)
            divergence = x.new_zeros(len(x), how.columns)
    return velocity, divergence


def _draw_probe(
    how: Augmentation, shape: tuple[int, ...], seed: int, sample: int, dtype: torch.dtype
) -> Tensor:
    generator = generator_for(seed, "probe", sample)
    if how.probe == "gaussian":
        return torch.randn(shape, generator=generator, dtype=dtype)
    # Of all independent entries with mean 0 and variance 1, these give the least variance.
    return torch.randint(0, 2, shape, generator=generator).to(dtype) * 2 - 1


def _trace(velocity: Tensor, x: Tensor, keep_graph: bool) -> Tensor:
    """Return sum_i du_i / dx_i of each row, `(batch, 1)`.

    Rows do not depend on one another, so one backward pass for each i serves the whole batch.
    """
    flat = as_rows(velocity)
    size = flat.shape[1]
    total = x.new_zeros(len(x))
    for i in range(size):
        # The sum over the batch has gradient du_i/dx in each row.
        row = _backward(flat[:, i].sum(), x, None, i + 1 < size, keep_graph)
        total = total + as_rows(row)[:, i]
    return total.unsqueeze(1)


def _estimates(velocity: Tensor, x: Tensor, probes: Tensor, keep_graph: bool) -> Tensor:
    """Return e . J e of each probe, `(batch, n_probes)`."""
    found = []
    for i in range(probes.shape[1]):
        e = probes[:, i]
        row = _backward(velocity, x, e, i + 1 < probes.shape[1], keep_graph)
        found.append(as_rows(row * e).sum(1))
    return torch.stack(found, 1)


def _backward(y: Tensor, x: Tensor, e: Tensor | None, more: bool, keep_graph: bool) -> Tensor:
    """Return J^T e; free the graph unless `more` passes follow or `keep_graph`."""
    # materialize_grads: an element of u that does not depend on x has gradient 0, not None.
    (row,) = torch.autograd.grad(
        y, x, e, retain_graph=more or keep_graph, create_graph=keep_graph, materialize_grads=True
    )
    return row


def _require_constant(
    field: Velocity, velocity: Tensor, x: Tensor, t: Tensor, condition: Condition | None
) -> None:
    """Raise ComponentError for a velocity that depends on x and has no graph: its divergence would
    silently be 0.
    """
    # One more evaluation, in a case that is rare and otherwise wrong without an error.
    moved = x.detach() + 1e-2
    elsewhere = field(moved, t) if condition is None else field(moved, t, condition)
    if not torch.equal(elsewhere, velocity):
        raise ComponentError(
            "the divergence needs a field that autograd can follow, but its velocity carries no "
            "graph: "
            "do not wrap it in torch.no_grad or torch.inference_mode, and detach nothing"
        )


Function = Callable[[Tensor], Tensor]


def divergence_jvp(f: Function, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return u = f(x) and sum_i du_i / dx_i of each row, `(batch, 1)`; None instead of the
    divergence where u has no tangent, as for a constant.

    Rows do not depend on one another, so one product for each i serves the whole batch.
    """
    size = math.prod(x.shape[1:])
    if size == 0:
        return f(x), x.new_zeros(len(x), 1)
    total, velocity = x.new_zeros(len(x)), x
    for i in range(size):
        direction = x.new_zeros(len(x), size)
        direction[:, i] = 1
        velocity, column = _product(f, x, direction.view(x.shape))
        if column is None:
            return velocity, None
        total = total + column.reshape(len(x), size)[:, i]
    return velocity, total.unsqueeze(1)


def hutchinson_jvp(f: Function, x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return u = f(x) and e . J e of each probe, `(batch, n_probes)`; None as `divergence_jvp`."""
    found, velocity = [], x
    for e in probes.unbind(1):
        velocity, moved = _product(f, x, e)
        if moved is None:
            return velocity, None
        found.append(as_rows(moved * e).sum(1))
    return velocity, torch.stack(found, 1)


def _product(f: Function, x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return f(x) and J direction, None if the output has no tangent.

    Raises ComponentError if the field has an operation without a forward derivative.
    """
    _load()
    try:
        # strict=True raises where the output does not depend on x, instead of a tangent of 0.
        velocity, moved = torch.func.jvp(f, (x,), (direction,), strict=True)  # type: ignore[misc]
    except (NotImplementedError, RuntimeError) as error:
        velocity = f(x)  # raises the field's own error, if that was the cause
        if "independent of the inputs" in str(error):
            return velocity, None
        raise ComponentError(
            "divergence autodiff='forward' needs a field whose operations all have a forward "
            f"derivative, and this one has an operation that does not: {_first_line(error)}; "
            "use autodiff='reverse'"
        ) from error
    return velocity, moved


@cache
def _load() -> None:
    """Make torch load its forward derivatives, without the DeprecationWarning of its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


@final
class DivergenceField:
    """The problem's field for a plan, which also integrates the divergence.

    It must be called once for each call of the plan, in order.  `weights` are the weights of these
    velocities in the end state, which make the same quadrature.  `logdet` is the integral so far,
    `(batch, columns)`.
    """

    def __init__(
        self,
        problem: Problem,
        augmentation: Augmentation,
        weights: NDArray[np.float64],
        x0: Tensor,
    ) -> None:
        self._problem, self._augmentation = problem, augmentation
        self.__name__ = field_name(problem.field)  # for error messages
        self._weights = iter(weights.tolist())
        rows = torch.arange(len(x0), device=x0.device)
        self._probes = draw_probes(augmentation, problem, rows, x0.dtype)
        self.logdet = x0.new_zeros(len(x0), augmentation.columns)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the velocity; add its divergence with this call's weight."""
        weight, condition = next(self._weights), self._problem.condition
        field = self._problem.field
        # A call without weight in the end state, as midpoint's first, needs no divergence.
        if weight == 0:
            return field(x, t) if condition is None else field(x, t, condition)
        velocity, divergence = velocity_and_divergence(
            self._augmentation, field, x, t, condition, self._probes
        )
        self.logdet.add_(divergence, alpha=weight)
        return velocity
