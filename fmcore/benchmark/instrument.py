"""Fields that count and time the calls of a solver."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from fmcore.interfaces.problem import Velocity
from fmcore.interfaces.source import Condition
from fmcore.testing.flows import Waits

__all__ = ["CallCounter", "FieldTimer", "SyncCounter"]


class _Instrument(ABC):
    """A field that measures the calls of another one: of its velocity, and of its jumps if it is a
    flow map.
    """

    def __init__(self, field: Velocity) -> None:
        self._field = field
        self.calls = 0

    @abstractmethod
    def _measured(self, evaluate: Callable[[], Tensor], x: Tensor, *times: Tensor) -> Tensor:
        """Return the result of `evaluate`, a call at `x` and `times`, and measure it."""

    @final
    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        self.calls += 1
        field = self._field
        if condition is None:  # closed-form velocities take none
            return self._measured(lambda: field(x, t), x, t)
        return self._measured(lambda: field(x, t, condition), x, t)

    @property
    def jump(self) -> Callable[..., Tensor]:
        """The jump of the field; AttributeError for one without, as solvers expect."""
        inner: Callable[..., Tensor] = self._field.jump  # type: ignore[attr-defined]

        def jump(x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None) -> Tensor:
            self.calls += 1
            return self._measured(lambda: inner(x, t, until, condition), x, t, until)

        return jump


@final
class CallCounter(_Instrument):
    """Counts calls, rows, network evaluations, and calls at a time outside [low, high]."""

    def __init__(self, field: Velocity, low: float, high: float) -> None:
        super().__init__(field)
        self._low, self._high = low, high
        self.rows = self.outside = 0
        self._before = getattr(field, "forwards", 0)

    @property
    def forwards(self) -> int:
        """Network evaluations so far; one per call for a field that does not count them."""
        if hasattr(self._field, "forwards"):
            return int(self._field.forwards) - self._before
        return self.calls

    def _measured(self, evaluate: Callable[[], Tensor], x: Tensor, *times: Tensor) -> Tensor:
        self.rows += len(x)
        low, high = self._low, self._high
        self.outside += any(bool(((t.double() < low) | (t.double() > high)).any()) for t in times)
        return evaluate()


@final
class FieldTimer(_Instrument):
    """Adds up the seconds spent in the field: the host's on a CPU, the device's own on a GPU."""

    def __init__(self, field: Velocity, device: torch.device) -> None:
        super().__init__(field)
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._events: list[Any] = []

    @property
    def seconds(self) -> float:
        """The seconds so far.  On a GPU, synchronize before reading."""
        milliseconds: float = sum(a.elapsed_time(b) for a, b in self._events)
        return self._seconds + milliseconds / 1e3

    def _measured(self, evaluate: Callable[[], Tensor], x: Tensor, *times: Tensor) -> Tensor:
        if self._cuda:
            events: Any = torch.cuda.Event  # untyped
            begin, end = (events(enable_timing=True) for _ in range(2))
            begin.record()
            value = evaluate()
            end.record()
            self._events.append((begin, end))
            return value
        began = time.perf_counter()
        value = evaluate()
        self._seconds += time.perf_counter() - began
        return value


@final
class SyncCounter(_Instrument):
    """Counts host-device synchronizations outside the field."""

    def __init__(self, field: Velocity) -> None:
        super().__init__(field)
        self._inside = 0

    def _measured(self, evaluate: Callable[[], Tensor], x: Tensor, *times: Tensor) -> Tensor:
        with Waits() as own:
            value = evaluate()
        self._inside += own.waits
        return value

    def count(self, solve: Callable[[], object]) -> int:
        """Return the synchronizations during `solve`, without those inside the field."""
        with Waits() as every:
            solve()
        return every.waits - self._inside
