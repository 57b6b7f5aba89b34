"""The samples of an adaptive solve, side by side, each at its own time with its own step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, final

from torch import Tensor

__all__ = ["RUNNING", "Lanes"]

RUNNING = -1
"""The status of a lane that is still on its way."""


@final
@dataclass
class Lanes:
    """State of `width` lanes; the first dimension of every tensor is the lane.

    `ids` are rows of the problem, `x` and `k` (the velocity at x) are `(width, d)`, `reached` is
    the last good time. Where the batch shares one step, `t`, `h`, `log_ratio` and `grow` have
    length 1.  `condition` and `probes` belong to the sample; `logdet` and `k_div` are there if the
    divergence is integrated, `trajectory`, `(width, times, d)`, if states at given times are asked
    for.
    """

    ids: Tensor
    x: Tensor
    k: Tensor
    t: Tensor
    h: Tensor
    log_ratio: Tensor
    grow: Tensor
    reached: Tensor
    status: Tensor
    attempts: Tensor
    accepted: Tensor
    condition: Mapping[str, Tensor] | None = None
    probes: Tensor | None = None
    k_div: Tensor | None = None
    logdet: Tensor | None = None
    trajectory: Tensor | None = None

    @property
    def width(self) -> int:
        """How many lanes there are."""
        return len(self.ids)

    @property
    def running(self) -> Tensor:
        """Which lanes are still on their way, `(width,)`."""
        return self.status == RUNNING

    def take(self, lanes: Tensor) -> Lanes:
        """The lanes at these places, as a copy."""
        return self._map(lambda value: value.index_select(0, lanes))

    def put(self, places: Tensor, other: Lanes) -> None:
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

    def _map(self, change: Callable[[Tensor], Tensor]) -> Lanes:
        changed: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Mapping):
                changed[item.name] = {name: change(each) for name, each in value.items()}
            elif value is not None:
                changed[item.name] = change(value)
        return replace(self, **changed)
