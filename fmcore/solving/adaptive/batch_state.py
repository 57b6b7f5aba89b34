"""The samples of an adaptive solve, side by side, each at its own time with its own step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, final

from torch import Tensor

__all__ = ["BatchState"]


@final
@dataclass
class BatchState:
    """State of `width` lanes; the first dimension of every tensor is the lane.

    `ids` are rows of the problem, `x` and `k` (the velocity at x) `(width, *shape)`.  `left` is the
    time still to go, `h` the next step's length, `memory` and `limit` the controller's; where the
    batch shares one step these have length 1, and `left_of` keeps each lane's own.  `running` lanes
    are on their way, `arrived` ones at t1, those that stopped at what was not finite are `broken`,
    the others out of step size.  `condition` and `probes` belong to the sample; `logdet` and
    `k_div` are there if the divergence is integrated, `trajectory`, `(width, times, *shape)`, if
    states at given times are asked for.
    """

    ids: Tensor
    x: Tensor
    k: Tensor
    left: Tensor
    h: Tensor
    memory: Tensor
    limit: Tensor
    running: Tensor
    arrived: Tensor
    broken: Tensor
    attempts: Tensor
    accepted: Tensor
    left_of: Tensor | None = None
    condition: Mapping[str, Tensor] | None = None
    probes: Tensor | None = None
    k_div: Tensor | None = None
    logdet: Tensor | None = None
    trajectory: Tensor | None = None

    @property
    def width(self) -> int:
        """How many lanes there are."""
        return len(self.ids)

    def take(self, lanes: Tensor) -> BatchState:
        """The lanes at these places, as a copy."""
        return self._map(lambda value: value.index_select(0, lanes))

    def put(self, places: Tensor, other: BatchState) -> None:
        """Set the lanes at `places` to those of `other`; tensors that others may hold are left
        alone.
        """
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if isinstance(mine, Mapping):
                changed = {n: v.index_copy(0, places, theirs[n]) for n, v in mine.items()}
                setattr(self, item.name, changed)
            elif mine is not None:
                setattr(self, item.name, mine.index_copy(0, places, theirs))

    def _map(self, change: Callable[[Tensor], Tensor]) -> BatchState:
        changed: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Mapping):
                changed[item.name] = {name: change(each) for name, each in value.items()}
            elif value is not None:
                changed[item.name] = change(value)
        return replace(self, **changed)
