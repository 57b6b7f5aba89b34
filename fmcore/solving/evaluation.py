"""Where solvers call the field: checked, counted, and never handed back its own memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import torch
from torch import Tensor

from fmcore.errors import ComponentError, SolverError
from fmcore.interfaces.problem import Problem, Solution, Status
from fmcore.interfaces.tensors import to_device
from fmcore.registry import entry_of

__all__ = [
    "bound_field",
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
    """x0 as a solver's state: at least float32, whatever the network's precision.

    Raises ComponentError for an x0 that is not floating point or has no batch dimension, and for a
    condition of another batch.
    """
    x0 = problem.x0
    if not isinstance(x0, Tensor):
        raise ComponentError(
            f"x0 must be a tensor of shape (batch, *shape), got {type(x0).__name__}: "
            "several tensors are joined into one state by fmcore.solving.ProductState"
        )
    if not x0.is_floating_point() or x0.ndim < 1:
        raise ComponentError(
            f"x0 must be floating point of shape (batch, *shape), got {x0.dtype} of shape "
            f"{tuple(x0.shape)}"
        )
    for name, value in (problem.condition or {}).items():
        if value.shape[:1] != x0.shape[:1]:
            raise ComponentError(
                f"condition '{name}' has shape {tuple(value.shape)} for x0 of shape "
                f"{tuple(x0.shape)}: every condition has a row for each sample"
            )
    return x0 if x0.dtype in (torch.float32, torch.float64) else x0.float()


def bound_field(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """The field as a function of (x, t) alone."""
    field, condition = problem.field, problem.condition
    if condition is None:
        return field

    def bound(x: Tensor, t: Tensor) -> Tensor:
        return field(x, t, condition)

    bound.__name__ = field_name(field)
    return bound


def field_name(field: Any) -> str:
    """What a field is called in messages."""
    return getattr(field, "__name__", None) or type(field).__name__


def check_velocity(field: Any, velocity: Any, x: Tensor) -> None:
    """Raise ComponentError unless `velocity` is a tensor of x's shape and dtype."""
    if not isinstance(velocity, Tensor):
        raise ComponentError(
            f"field {field_name(field)} returned {type(velocity).__name__}; a velocity is a tensor "
            "with the shape and dtype of x"
        )
    if velocity.shape != x.shape or velocity.dtype != x.dtype:
        _refuse(field, velocity, x)


def finite_rows(x: Tensor) -> Tensor:
    """Which rows of x are finite throughout, `(batch,)`."""
    rows = x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)
    if rows.shape[1] == 0:
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    return rows.abs().amax(1) < constant(math.inf, x.dtype, x.device)


@lru_cache(maxsize=1024)
def constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number as a tensor without dimensions, made once: operations with it need no transfer."""
    return device_tensor(value, dtype, device)


def device_tensor(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Host numbers as a tensor on `device`, without making the host wait.

    Never an inference tensor, which a later solve could not differentiate through.
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
    """`solver 'midpoint'` for a registered component, otherwise its kind and class."""
    kind = getattr(component, "kind", "component")
    entry = entry_of(component)
    return f"{kind} '{entry.name}'" if entry else f"{kind} {type(component).__name__}"


_ADVICE = {
    Status.MAX_STEPS: "raise max_steps or loosen rtol and atol",
    Status.DT_MIN: "the field is too rough there: loosen rtol and atol or stop short of the end",
    Status.NONFINITE: "the field is not finite there: look at what it returns",
    Status.MAX_NFE: "raise max_nfe or loosen rtol and atol",
}


def raise_if_failed(solution: Solution, label: str) -> None:
    """Raise SolverError if any sample did not arrive, saying which and why."""
    # waits for the device: only for those who ask
    failed = solution.status.nonzero().flatten().tolist()
    if not failed:
        return
    worst = failed[0]
    status = Status(int(solution.status[worst]))
    raise SolverError(
        f"{label}: {len(failed)} of {len(solution.status)} samples did not arrive; sample {worst} "
        "ended with "
        f"{status.name} at t = {float(solution.t_reached[worst]):.6g}: {_ADVICE[status]}"
    )
