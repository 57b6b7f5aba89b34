"""The divergence by forward-mode differentiation: J e beside u, without a graph.

Each product J e runs the field once more, with tangents; no activations are kept, so that memory is
that of the field alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from fmcore.errors import ComponentError

__all__ = ["estimates_ahead", "trace_ahead"]

Function = Callable[[Tensor], Tensor]


def trace_ahead(f: Function, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """u = f(x) and sum_i du_i / dx_i of each row, `(batch, 1)`; None for a velocity in which no
    tangent arrives.  Rows do not depend on one another, so one product serves the batch.
    """
    size = x[0].numel()
    total, velocity = x.new_zeros(len(x)), x
    for i in range(size):
        direction = torch.zeros_like(x)
        direction.view(len(x), size)[:, i] = 1
        velocity, column = _product(f, x, direction)
        if column is None:
            return velocity, None
        total = total + column.reshape(len(x), size)[:, i]
    return velocity, total.unsqueeze(1)


def estimates_ahead(f: Function, x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor | None]:
    """u = f(x) and e . J e of each probe, `(batch, n_probes)`; None as above."""
    found, velocity = [], x
    for e in probes.unbind(1):
        velocity, moved = _product(f, x, e)
        if moved is None:
            return velocity, None
        found.append((moved * e).flatten(1).sum(1))
    return velocity, torch.stack(found, 1)


def _product(f: Function, x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor | None]:
    """f(x) and J direction, None if the output carries no tangent.

    Raises ComponentError if the field has an operation without a forward derivative.
    """
    _load()
    try:
        velocity, moved = torch.func.jvp(f, (x,), (direction,), strict=True)  # type: ignore[misc]
    except (NotImplementedError, RuntimeError) as error:
        velocity = f(x)  # a mistake of the field's own shows itself here
        if "independent of the inputs" in str(error):
            return velocity, None
        raise ComponentError(
            f"divergence by='jvp' needs a field that forward-mode differentiation can follow, and "
            f"this one has an operation that it cannot: {_first_line(error)}; use by='vjp'"
        ) from error
    return velocity, moved


@cache
def _load() -> None:
    """The first use makes torch load what it derives some operations by, with a call that it warns
    of itself: nothing a user could change.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
