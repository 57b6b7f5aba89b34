"""A moment of a solve: what a callback is given, after every step that the host knows of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

__all__ = ["Callback", "Moment"]


@final
@dataclass(frozen=True)
class Moment:
    """How far a solve is, as far as the host knows without waiting for the device.

    `progress` is the share of the way, from 0 to 1, over all samples; `step` counts steps (attempts
    of an adaptive solver); `running` is how many samples had not arrived or failed when that was
    last looked at.
    """

    progress: float
    step: int
    running: int
    _states: Callable[[], Tensor]

    @property
    def x(self) -> Tensor:
        """The states now, `(batch, *shape)`, as a copy: an adaptive solver's samples are at times
        of their own.  To be read while the callback runs.  Only reading the copy's values waits.
        """
        return self._states()


Callback = Callable[[Moment], None]
"""What to do at each moment; an exception that it raises ends the solve."""
