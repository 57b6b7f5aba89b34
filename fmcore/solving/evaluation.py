"""Where solvers call the field: checked, counted, and never handed back its own memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.solving.problem import Problem

__all__ = ["bound_field", "check_velocity", "constant", "finite_rows", "state_of", "to_device"]


def state_of(problem: Problem) -> Tensor:
    """x0 as a solver's state: at least float32, whatever the network's precision.

    Raises ComponentError for an x0 that is not floating point or has no batch dimension.
    """
    x0 = problem.x0
    if not x0.is_floating_point() or x0.ndim < 1:
        raise ComponentError(
            f"x0 must be floating point of shape (batch, *shape), got {x0.dtype} of shape "
            f"{tuple(x0.shape)}"
        )
    return x0 if x0.dtype in (torch.float32, torch.float64) else x0.float()


def bound_field(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """The field as a function of (x, t) alone."""
    field, condition = problem.field, problem.condition
    if condition is None:
        return field
    return lambda x, t: field(x, t, condition)


def check_velocity(field: Any, velocity: Tensor, x: Tensor) -> None:
    """Raise ComponentError unless `velocity` has x's shape and dtype."""
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
    return to_device(value, dtype, device)


def to_device(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Host numbers as a tensor on `device`, without making the host wait.

    Never an inference tensor, which a later solve could not differentiate through.
    """
    with torch.inference_mode(False):
        tensor = torch.as_tensor(values, dtype=dtype)
        if device.type != "cuda":
            return tensor.to(device)
        return tensor.pin_memory().to(device, non_blocking=True)


def _refuse(field: Any, velocity: Tensor, x: Tensor) -> NoReturn:
    name = getattr(field, "__name__", None) or type(field).__name__
    raise ComponentError(
        f"field {name} returned {velocity.dtype} of shape {tuple(velocity.shape)} for x of "
        f"{x.dtype} "
        f"and shape {tuple(x.shape)}; a velocity has x's shape and dtype: for a network in half "
        "precision, wrap it as fmcore.Field(..., precision=...) or return velocity.to(x.dtype)"
    )
