"""Fields that count and time the calls of a solver."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from fmcore.interfaces.problem import Velocity
from fmcore.interfaces.source import Condition
from fmcore.testing.flows import Waits

__all__ = ["CallCounter", "FieldTimer", "SyncCounter"]


@final
class CallCounter:
    """Counts calls, rows, network evaluations, and calls at a time outside [low, high]."""

    def __init__(self, field: Velocity, low: float, high: float) -> None:
        self._field, self._low, self._high = field, low, high
        self.calls = self.rows = self.outside = 0
        self._before = getattr(field, "forwards", 0)

    @property
    def forwards(self) -> int:
        """Network evaluations so far; one per call for a field that does not count them."""
        if hasattr(self._field, "forwards"):
            return int(self._field.forwards) - self._before
        return self.calls

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        self.calls += 1
        self.rows += len(x)
        times = t.double()
        self.outside += bool(((times < self._low) | (times > self._high)).any())
        return _call(self._field, x, t, condition)


@final
class FieldTimer:
    """Adds up the seconds spent in the field: the host's on a CPU, the device's own on a GPU."""

    def __init__(self, field: Velocity, device: torch.device) -> None:
        self._field, self._cuda = field, device.type == "cuda"
        self._seconds = 0.0
        self._events: list[Any] = []
        self.calls = 0

    @property
    def seconds(self) -> float:
        """The seconds so far.  On a GPU, synchronize before reading."""
        milliseconds: float = sum(a.elapsed_time(b) for a, b in self._events)
        return self._seconds + milliseconds / 1e3

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        self.calls += 1
        if self._cuda:
            events: Any = torch.cuda.Event  # untyped
            begin, end = (events(enable_timing=True) for _ in range(2))
            begin.record()
            velocity = _call(self._field, x, t, condition)
            end.record()
            self._events.append((begin, end))
            return velocity
        began = time.perf_counter()
        velocity = _call(self._field, x, t, condition)
        self._seconds += time.perf_counter() - began
        return velocity


@final
class SyncCounter:
    """Counts host-device synchronizations outside the field."""

    def __init__(self, field: Velocity) -> None:
        self._field = field
        self.calls = self._inside = 0

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        self.calls += 1
        with Waits() as own:
            velocity = _call(self._field, x, t, condition)
        self._inside += own.waits
        return velocity

    def count(self, solve: Callable[[], object]) -> int:
        """Return the synchronizations during `solve`, without those inside the field."""
        with Waits() as every:
            solve()
        return every.waits - self._inside


def _call(field: Velocity, x: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
    return field(x, t) if condition is None else field(x, t, condition)
