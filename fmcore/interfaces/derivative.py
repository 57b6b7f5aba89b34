"""Time derivatives by forward-mode differentiation: a value and its derivative in one pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

__all__ = ["jvp", "with_derivative"]


def with_derivative(f: Callable[[Tensor], Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(t) and df/dt, for an f each of whose elements, or rows, depends on one time alone.

    `t` may have any shape.  Composes with the transforms of `torch.func`, and stores nothing for a
    backward pass.
    """
    _load_rules()
    t = t.contiguous()  # forward mode refuses an expanded tensor, whose elements share memory
    value, slope = torch.func.jvp(f, (t,), (torch.ones_like(t),))[:2]
    return value, slope


def jvp(
    f: Callable[..., Tensor], points: tuple[Tensor, ...], directions: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """f(*points) and its derivative along `directions`, tensors of the same shapes."""
    _load_rules()
    value, derivative = torch.func.jvp(f, points, directions)[:2]
    return value, derivative


@cache
def _load_rules() -> None:
    """Make torch load its forward-mode rules, without the DeprecationWarning of its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        zero = torch.zeros(())
        torch.func.jvp(torch.sin, (zero,), (zero,))
