"""Numerical derivatives, to compare with those of a component."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from fmcore.interfaces.derivative import with_derivative

__all__ = ["central_difference", "derivative"]


def derivative(f: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """Return df / dt of each row, for f whose row i depends on t[i] alone.

    By forward-mode differentiation if every operation supports it, else by central differences.
    """
    try:
        return with_derivative(f, t)[1]
    except (RuntimeError, NotImplementedError, TypeError):
        return central_difference(f, t)


def central_difference(f: Callable[[Tensor], Tensor], t: Tensor, h: float = 1e-5) -> Tensor:
    """Return (f(t + h) - f(t - h)) / 2h, accurate to about 1e-9 in float64 for smooth f."""
    return (f(t + h) - f(t - h)) / (2 * h)
