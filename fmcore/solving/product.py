"""States of several parts, such as positions and angles, solved as one.

The parts of a sample are joined into one row, so that solvers, error norms, divergences, gradients,
noise and refill apply to all parts together.  Joining costs one copy of the velocity a call.  A
fixed solve that needs only the end state keeps the parts apart (see `ProductField.parts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Velocity
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import as_rows
from fmcore.solving.evaluation import field_name

__all__ = ["Parts", "ProductField", "ProductState"]

Parts = Mapping[str, Tensor] | Sequence[Tensor]
"""Tensors `(batch, *shape)`, by name or in order, of one batch size, dtype and device."""


@final
@dataclass(frozen=True)
class ProductState:
    """The layout of parts in a row: their `names`, None for parts in order, and their `shapes`.

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
        """Return the layout of these parts.

        Raises ComponentError unless there is at least one, all of one dtype, device and batch size.
        """
        names = tuple(parts) if isinstance(parts, Mapping) else None
        tensors = tuple(parts.values() if isinstance(parts, Mapping) else parts)
        kinds = {(x.shape[:1], x.dtype, x.device) for x in tensors}
        if len(kinds) != 1 or not tensors[0].ndim:
            found = ", ".join(f"{x.dtype} {tuple(x.shape)} on {x.device}" for x in tensors)
            raise ComponentError(
                "the parts of a state are tensors (batch, *shape) of one batch size, dtype and "
                f"device; got {found or 'none'}"
            )
        return ProductState(names, tuple(x.shape[1:] for x in tensors))

    def join(self, parts: Parts) -> Tensor:
        """Return the parts as one tensor, `(batch, elements)`.

        Raises ComponentError for parts of another layout.
        """
        return self.joined(self.in_order(parts))

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the same for parts in the order of the layout, unchecked."""
        return torch.cat([as_rows(x) for x in parts], 1)

    def split(self, x: Tensor) -> Any:
        """Return the parts of a state or of a trajectory, `(..., elements)`, as views: a dict or a
        tuple, as `of` was given.
        """
        return self.named(self.rows(x))

    def rows(self, x: Tensor) -> list[Tensor]:
        """Return the same as a list, in the order of the layout."""
        rows = x.split([shape.numel() for shape in self.shapes], -1)  # type: ignore[no-untyped-call]
        return [
            row.view(*x.shape[:-1], *shape) for row, shape in zip(rows, self.shapes, strict=True)
        ]

    def named(self, parts: Sequence[Tensor]) -> Any:
        """Return parts in the order of the layout as a dict or a tuple, as `of` was given."""
        return tuple(parts) if self.names is None else dict(zip(self.names, parts, strict=True))

    def field(self, velocity: Velocity) -> ProductField:
        """Return the field of the joined state, from `velocity(parts, t)` or
        `velocity(parts, t, condition)`, which returns parts.
        """
        return ProductField(self, velocity)

    def in_order(self, parts: Parts) -> list[Tensor]:
        """Return the parts in the order of the layout.

        Raises ComponentError for parts of another layout.
        """
        # Order by name, since equal dicts may list their parts in another order.
        if isinstance(parts, Mapping):
            found, names = list(parts.values()), tuple(parts)
            if self.names is not None and set(names) == set(self.names):
                found, names = [parts[name] for name in self.names], self.names
        else:
            found, names = list(parts), None
        shapes = tuple(x.shape[1:] for x in found)
        if names != self.names or shapes != self.shapes:
            raise ComponentError(
                f"parts {_layout(names, shapes)} where the state has "
                f"{_layout(self.names, self.shapes)}"
            )
        return found


@final
class ProductField:
    """The field of a joined state; a fixed solver calls `parts` and joins nothing."""

    def __init__(self, state: ProductState, velocity: Velocity) -> None:
        self.state, self._velocity = state, velocity
        self.__name__ = field_name(velocity)

    @property
    def forwards(self) -> int:
        """Network evaluations per sample so far, where the velocity counts them."""
        return int(getattr(self._velocity, "forwards", 0))

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        return self.state.joined(self.parts(self.state.rows(x), t, condition))

    def parts(self, x: Sequence[Tensor], t: Tensor, condition: Condition | None) -> list[Tensor]:
        """Return the velocities of parts, both in the order of the layout."""
        named, velocity = self.state.named(x), self._velocity
        given: Any = velocity(named, t) if condition is None else velocity(named, t, condition)
        return self.state.in_order(given)


def _layout(names: Sequence[str] | None, shapes: Sequence[torch.Size]) -> str:
    sizes = [str(tuple(shape)) for shape in shapes]
    if names is None:
        return f"({', '.join(sizes)})"
    return "{" + ", ".join(f"{n}: {s}" for n, s in zip(names, sizes, strict=True)) + "}"
