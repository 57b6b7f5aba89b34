"""States of several parts, positions and angles, say, solved as one.

The parts of a sample are joined into one row: then every solver, the norm of its error,
divergences, gradients, noise and refill hold for all parts together, and no executor knows of them.
Joining costs one copy of the velocity a call; splitting is views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.source import Condition
from fmcore.solving.problem import Velocity

__all__ = ["Parts", "ProductState"]

Parts = Mapping[str, Tensor] | Sequence[Tensor]
"""Tensors `(batch, *shape)` by name, or in order, with one batch dimension and one dtype."""


@final
@dataclass(frozen=True)
class ProductState:
    """How parts are laid out in a row: `names`, None for parts in order, and their `shapes`.

    >>> import torch
    >>> parts = {"position": torch.zeros(5, 3), "angles": torch.ones(5, 2, 2)}
    >>> state = ProductState.of(parts)
    >>> state.join(parts).shape
    torch.Size([5, 7])
    >>> state.split(state.join(parts))["angles"].shape
    torch.Size([5, 2, 2])
    """

    names: tuple[str, ...] | None
    shapes: tuple[torch.Size, ...]

    @staticmethod
    def of(parts: Parts) -> ProductState:
        """The layout of these parts.

        Raises ComponentError unless there is at least one, all of one dtype, device and batch size.
        """
        names = tuple(parts) if isinstance(parts, Mapping) else None
        tensors = tuple(parts.values() if isinstance(parts, Mapping) else parts)
        kinds = {(x.shape[:1], x.dtype, x.device) for x in tensors}
        if len(kinds) != 1 or not tensors[0].ndim:
            told = ", ".join(f"{x.dtype} {tuple(x.shape)} on {x.device}" for x in tensors) or "none"
            raise ComponentError(
                "the parts of a state are tensors (batch, *shape) of one batch size, dtype and "
                f"device; got {told}"
            )
        return ProductState(names, tuple(x.shape[1:] for x in tensors))

    def join(self, parts: Parts) -> Tensor:
        """The parts as one tensor, `(batch, elements)`.

        Raises ComponentError for parts of another layout.
        """
        return torch.cat([x.flatten(1) for x in self._in_order(parts)], 1)

    def split(self, x: Tensor) -> Any:
        """The parts of a state, or of a trajectory, `(..., elements)`, as views; a dict or a tuple
        as they were given.
        """
        rows = x.split([shape.numel() for shape in self.shapes], -1)  # type: ignore[no-untyped-call]
        parts = tuple(
            row.view(*x.shape[:-1], *shape) for row, shape in zip(rows, self.shapes, strict=True)
        )
        return parts if self.names is None else dict(zip(self.names, parts, strict=True))

    def field(self, velocity: Velocity) -> Velocity:
        """`velocity(parts, t)`, or with a condition, which returns parts, as the field of the
        joined state.
        """

        def joined(x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
            parts = self.split(x)
            given: Any = velocity(parts, t) if condition is None else velocity(parts, t, condition)
            return self.join(given)

        joined.__name__ = getattr(velocity, "__name__", None) or type(velocity).__name__
        return joined

    def _in_order(self, parts: Parts) -> list[Tensor]:
        if isinstance(parts, Mapping):
            found, names = list(parts.values()), tuple(parts)
            if self.names is not None and set(names) == set(self.names):
                found, names = [parts[name] for name in self.names], self.names
        else:
            found, names = list(parts), None  # type: ignore[assignment]
        shapes = tuple(x.shape[1:] for x in found)
        if names != self.names or shapes != self.shapes:
            raise ComponentError(
                f"parts {_layout(names, shapes)} where the state has "
                f"{_layout(self.names, self.shapes)}"
            )
        return found


def _layout(names: Sequence[str] | None, shapes: Sequence[torch.Size]) -> str:
    sizes = [str(tuple(shape)) for shape in shapes]
    if names is None:
        return f"({', '.join(sizes)})"
    return "{" + ", ".join(f"{n}: {s}" for n, s in zip(names, sizes, strict=True)) + "}"
