"""Shared checks around a solve: the state, the field's velocities, the callback, failed samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import torch
from torch import Tensor

from fmcore.errors import ComponentError, SolverError
from fmcore.interfaces.problem import Problem, Solution, SolverProgress, Status
from fmcore.interfaces.tensors import as_rows, to_device
from fmcore.registry import entry_of

__all__ = [
    "bound_field",
    "call_callback",
    "check_velocity",
    "constant",
    "device_tensor",
    "field_name",
    "finite_rows",
    "label_of",
    "raise_if_failed",
    "state_of",
]


def state_of(problem: Problem) -> Tensor:
    """Return x0, `(batch, *shape)`, in float32 or float64; other floating dtypes become float32.

    Raises ComponentError for an x0 that is not floating point or has no batch dimension, for a
    condition with another batch size, for a divergence under a `mask`, and for sample ids that are
    not one integer for each sample.
    """
    x0 = problem.x0
    if not isinstance(x0, Tensor):
        raise ComponentError(
            f"x0 must be a tensor of shape (batch, *shape), got {type(x0).__name__}: "
            "join several tensors into one state with fmcore.solving.ProductState"
        )
    if not x0.is_floating_point() or x0.ndim < 1:
        raise ComponentError(
            f"x0 must be floating point of shape (batch, *shape), got {x0.dtype} of shape "
            f"{tuple(x0.shape)}"
        )
    for name, value in (problem.condition or {}).items():
        if not isinstance(value, Tensor):
            raise ComponentError(f"condition '{name}' must be a tensor, got {type(value).__name__}")
        if value.shape[:1] != x0.shape[:1]:
            raise ComponentError(
                f"condition '{name}' has shape {tuple(value.shape)} for x0 of shape "
                f"{tuple(x0.shape)}: every condition has a row for each sample"
            )
    if problem.augmentation is not None and "mask" in (problem.condition or {}):
        raise ComponentError(
            "the divergence gives no density under the condition's `mask`, which leaves each row a "
            "dimension of its own: solve rows without a mask, or leave out the augmentation"
        )
    if problem.sample_ids is not None:
        _check_sample_ids(problem.sample_ids, len(x0))
    # In half precision, steps near t1 would round to no change at all.
    return x0 if x0.dtype in (torch.float32, torch.float64) else x0.float()


def _check_sample_ids(ids: Any, batch: int) -> None:
    if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.shape != (batch,):
        found = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else repr(ids)
        raise ComponentError(
            f"sample_ids must be a tensor of integers of shape (batch,) = ({batch},), got {found}"
        )


def bound_field(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the field as a function of (x, t) alone, with the problem's condition."""
    field, condition = problem.field, problem.condition
    if condition is None:
        return field

    def bound(x: Tensor, t: Tensor) -> Tensor:
        return field(x, t, condition)

    # Errors name the user's field, not this function.
    bound.__name__ = field_name(field)
    return bound


def field_name(field: Any) -> str:
    """Return the name of a field in messages."""
    # Functions have a name; networks and fields are known by their class.
    return getattr(field, "__name__", None) or type(field).__name__


def check_velocity(field: Any, velocity: Any, x: Tensor) -> None:
    """Raise ComponentError unless `velocity` is a tensor of x's shape and dtype."""
    if not isinstance(velocity, Tensor):
        raise ComponentError(
            f"field {field_name(field)} returned {type(velocity).__name__}; a velocity is a tensor "
            "with the shape and dtype of x"
        )
    # A (batch, 1) velocity would broadcast, and a half-precision one would round the state.
    if velocity.shape != x.shape or velocity.dtype != x.dtype:
        _refuse(field, velocity, x)


def call_callback(problem: Problem, step: int, steps: int, state: Tensor | None) -> None:
    """Call the problem's callback, if any, after step number `step` of `steps`, counted from 1.

    `state` is the state there, `(batch, *shape)`, or None where the solver does not keep it.
    """

    def copied() -> Tensor:
        if state is None:
            raise ComponentError(
                f"this solver does not keep the state after step {step}, which no later step "
                "reads: ask for states with Problem(times=...)"
            )
        # A copy: the solver overwrites its buffers in later steps.
        return state.detach().clone()

    if problem.callback is not None:
        running = len(problem.x0) if step < steps else 0
        problem.callback(SolverProgress(step / steps, step, running, copied))


def finite_rows(x: Tensor) -> Tensor:
    """Return the mask of rows of x that are finite in every element, `(batch,)`."""
    rows = as_rows(x)
    if rows.shape[1] == 0:
        # amax of no elements raises.
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    # One reduction and one comparison; isfinite().all() needs five operations.
    return rows.abs().amax(1) < constant(math.inf, x.dtype, x.device)


@lru_cache(maxsize=1024)
def constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a number as a tensor without dimensions, made once: it is on the device already."""
    return device_tensor(value, dtype, device)


def device_tensor(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return host numbers as a tensor on `device`, without making the host wait.

    Never an inference tensor: cached ones serve later solves, which may need gradients.
    """
    with torch.inference_mode(False):
        return to_device(torch.as_tensor(values, dtype=dtype), device)


def _refuse(field: Any, velocity: Tensor, x: Tensor) -> NoReturn:
    raise ComponentError(
        f"field {field_name(field)} returned {velocity.dtype} of shape {tuple(velocity.shape)} "
        f"for x of {x.dtype} and shape {tuple(x.shape)}; a velocity has x's shape and dtype: "
        "for a network in half precision, wrap it as fmcore.Field(..., precision=...) or return "
        "velocity.to(x.dtype)"
    )


def label_of(component: Any) -> str:
    """Return `solver 'midpoint'` for a registered component, otherwise its kind and class."""
    kind = getattr(component, "kind", "component")
    entry = entry_of(component)
    return f"{kind} '{entry.name}'" if entry else f"{kind} {type(component).__name__}"


_ADVICE = {
    Status.MAX_STEPS: "raise max_steps or loosen rtol and atol",
    Status.DT_MIN: "the field is too rough there: loosen rtol and atol, or end before t1",
    Status.NONFINITE: "the field is not finite there: check what it returns",
    Status.MAX_NFE: "raise max_nfe or loosen rtol and atol",
}


def raise_if_failed(solution: Solution, label: str) -> None:
    """Raise SolverError if any sample did not reach t1, with one sample, its status and a remedy.

    Reads the statuses, which on a GPU makes the host wait.
    """
    failed = solution.status.nonzero().flatten().tolist()
    if not failed:
        return
    worst = failed[0]
    status = Status(int(solution.status[worst]))
    raise SolverError(
        f"{label}: {len(failed)} of {len(solution.status)} samples did not reach t1; sample "
        f"{worst} ended with {status.name} at t = {float(solution.t_reached[worst]):.6g}: "
        f"{_ADVICE[status]}"
    )
