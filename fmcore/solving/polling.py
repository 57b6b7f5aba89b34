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
    """Asked after every step; answers every `every` steps with flags as a list, or None."""

    def __init__(self, every: int | None, device: torch.device) -> None:
        self.late = device.type == "cuda"
        self.every = every or (2 if self.late else 1)
        self._steps = 0
        self._pending: tuple[Tensor, Any] | None = None

    def ask(self, running: Tensor) -> list[bool] | None:
        """Which lanes were running, at this poll or, on a GPU, at the one before."""
        self._steps += 1
        if self._steps % self.every:
            return None
        if not self.late:
            return _flags(running)
        answer = None
        if self._pending is not None:
            flags, copied = self._pending
            copied.synchronize()
            answer = _flags(flags)
        host = torch.empty(running.shape, dtype=torch.bool, pin_memory=True)
        host.copy_(running, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._pending = (host, event)
        return answer

    def forget(self) -> None:
        """Drop the flags on their way: the lanes have changed places."""
        self._pending = None


def _flags(running: Tensor) -> list[bool]:
    flags: list[bool] = running.tolist()
    return flags
