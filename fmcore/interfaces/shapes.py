"""Checks of the shapes that interfaces promise."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fmcore.errors import ComponentError

__all__ = ["require_shape"]


def require_shape(found: object, shape: Sequence[int], what: str) -> None:
    """Raise ComponentError unless `found` is a tensor of `shape`.

    A wrong shape often broadcasts, `(batch, 1)` against `(batch,)` to `(batch, batch)`, and gives
    wrong numbers without an error.
    """
    if not isinstance(found, Tensor) or tuple(found.shape) != tuple(shape):
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ComponentError(f"{what} must be a tensor of shape {tuple(shape)}, got {got}")
