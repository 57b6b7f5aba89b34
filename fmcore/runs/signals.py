"""Ask a loop to end at its next step when the process is told to stop.

SIGINT is Ctrl-C; SIGTERM is how a cluster ends a job, some seconds before it kills it; SIGUSR1 is
what Slurm sends ahead of a time limit where `--signal=USR1@SECONDS` asks for it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

__all__ = ["STOPPING", "StopRequest", "stop_on_signal"]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@final
class StopRequest:
    """Whether a signal of STOPPING has come, and which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:  # Ctrl-C twice: at once
            raise KeyboardInterrupt
        # clusters repeat themselves, also while a checkpoint is written: their last word is SIGKILL
        self.signal = self.signal or signal.Signals(number)


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """A request that turns true on the first signal to stop; a SIGINT after it interrupts at once.

    Outside the main thread signals cannot be caught, and the request stays false.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {s: signal.signal(s, request) for s in STOPPING}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
