"""Looking at which lanes still run, as rarely and as late as will do.

On a GPU a look costs a wait, so the flags are copied to the host asynchronously and read one poll
later: lanes that had arrived then have arrived now.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

__all__ = ["Poll"]


@final
class Poll:
    """Asked after every step; answers every `every` steps with one value a lane, or None."""

    def __init__(self, every: int | None, device: torch.device) -> None:
        self.late = device.type == "cuda"
        self.every = every or (2 if self.late else 1)
        self._steps = 0
        self._pending: tuple[Tensor, Any] | None = None

    def ask(self, lanes: Tensor) -> list[Any] | None:
        """The values of `lanes`, `(width,)` (which of them run), at this poll or, on a GPU, at the
        one before.
        """
        self._steps += 1
        if self._steps % self.every:
            return None
        if not self.late:
            return _listed(lanes)
        answer = None
        if self._pending is not None:
            values, copied = self._pending
            copied.synchronize()
            answer = _listed(values)
        host = torch.empty(lanes.shape, dtype=lanes.dtype, pin_memory=True)
        host.copy_(lanes, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._pending = (host, event)
        return answer

    def forget(self) -> None:
        """Drop the flags on their way: the lanes have changed places."""
        self._pending = None


def _listed(lanes: Tensor) -> list[Any]:
    values: list[Any] = lanes.tolist()
    return values
