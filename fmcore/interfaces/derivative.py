"""The derivative of a function of time, by forward mode: a value and its slope in one pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

__all__ = ["jvp", "with_derivative"]


def with_derivative(f: Callable[[Tensor], Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
    """f(t) and df/dt, for f whose every element (or row) depends on its own time alone.

    Composes with the other transforms of `torch.func`, and keeps nothing for a backward pass.
    """
    _load_rules()
    t = t.contiguous()  # forward mode cannot write beside a time that an expanded tensor repeats
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
    """torch compiles its own forward-mode rules at first use, and warns its users of how it does
    so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        zero = torch.zeros(())
        torch.func.jvp(torch.sin, (zero,), (zero,))
