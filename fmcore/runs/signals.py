"""Stop a command on a signal: at the next safe point of a loop, at once elsewhere.

SIGINT is Ctrl-C; SIGTERM is how a cluster ends a job, some seconds before it kills it; SIGUSR1 is
what Slurm sends ahead of a time limit where `--signal=USR1@SECONDS` asks for it.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from fmcore.errors import Interrupted

__all__ = [
    "PARENT",
    "STOPPING",
    "StopRequest",
    "end_with_parent",
    "interruptible",
    "raise_if_stopped",
    "stop_on_signal",
]

PARENT = "FMCORE_PARENT"
"""The environment variable with the process that a run belongs to: it must not outlive it."""

SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

SECONDS_TO_UNWIND = 3.0
"""Time that an interrupted command has to clean up before a repeated signal interrupts it again."""

SECONDS_BETWEEN_LOOKS = 0.05
"""How often a signal that came during an import looks whether the import has ended."""

IMPORT_FILE = "<frozen importlib._bootstrap>"
"""The file name in the frames of Python's import."""


@final
class StopRequest:
    """The signal of STOPPING that has come, if any: true once there is one.

    With `at_once` a signal raises KeyboardInterrupt, during an import at its end: an import that is
    cut off leaves broken modules, and in compiled parts of torch it ends the process by SIGABRT.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.signal: signal.Signals | None = None
        self._at_once = at_once
        self._raised = float("-inf")
        self._imports = _imports_in(inspect.currentframe())  # of the code that opened this
        self._alarm: Callable[[int, FrameType | None], object] | int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        repeated = self.signal is not None
        self.signal = self.signal or signal.Signals(number)
        if number == signal.SIGINT and repeated:  # Ctrl-C twice: at once, in a loop too
            raise KeyboardInterrupt
        self._raise_after_imports(number, frame)

    def _raise_after_imports(self, number: int, frame: FrameType | None) -> None:
        # Clusters repeat their signals, also while a stopped command cleans up; but a library may
        # have swallowed the first KeyboardInterrupt, so later ones count again.
        if not self._at_once or time.monotonic() - self._raised <= SECONDS_TO_UNWIND:
            return
        if _imports_in(frame) > self._imports:
            self._look_again()
            return
        self.forget_alarm()
        self._raised = time.monotonic()
        raise KeyboardInterrupt

    def _look_again(self) -> None:
        if self._alarm is None:
            self._alarm = signal.signal(signal.SIGALRM, self._raise_after_imports) or signal.SIG_DFL
            signal.setitimer(signal.ITIMER_REAL, SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_LOOKS)

    def forget_alarm(self) -> None:
        """End the looks for the end of an import, if there are any."""
        if self._alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
            self._alarm = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise KeyboardInterrupt for a signal inside this context, or one that came before.

        For work that may be lost, such as a batch that is being drawn.
        """
        self._at_once = True  # before the check: a signal between the two must not be missed
        try:
            if self:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Yield a request that a signal makes true; a SIGINT after it interrupts at once.

    A request that the code inside did not act on raises KeyboardInterrupt at the end.  Outside the
    main thread signals cannot be caught, and the request stays false.
    """
    with _handling(StopRequest()) as request:
        yield request
    if request:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for every signal of STOPPING, as Python does for SIGINT alone.

    One that a library swallowed is raised at the end, by `raise_if_stopped`, or in place of an
    exception that follows it: an import that was cut off leaves a broken module, and what fails on
    that module has no other cause.
    """
    with _handling(StopRequest(at_once=True)) as request:
        try:
            yield
        except Interrupted:
            raise
        except Exception as error:
            if request:
                raise KeyboardInterrupt from error
            raise
    if request:
        raise KeyboardInterrupt


def end_with_parent() -> None:
    """Have Linux send SIGTERM to this process when that of FMCORE_PARENT ends, also by SIGKILL.

    Raises KeyboardInterrupt if it has ended already.  Without the variable, or on another system,
    nothing happens.
    """
    parent = os.environ.pop(PARENT, "")  # not for processes that this one starts
    if not parent.isdigit() or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(parent):
        raise KeyboardInterrupt


def raise_if_stopped() -> None:
    """Raise KeyboardInterrupt if a signal came inside the innermost context of this module.

    For the end of work whose libraries may turn a KeyboardInterrupt into another exception, as
    matplotlib does.
    """
    if _requests and _requests[-1]:
        raise KeyboardInterrupt


def _imports_in(frame: FrameType | None) -> int:
    """Return how many frames of `frame` and its callers belong to Python's import."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == IMPORT_FILE
        frame = frame.f_back
    return count


_requests: list[StopRequest] = []
"""The requests of the contexts that are open, the innermost last."""


@contextmanager
def _handling(request: StopRequest) -> Iterator[StopRequest]:
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {s: signal.signal(s, request) for s in STOPPING}
    _requests.append(request)
    try:
        yield request
    finally:
        request.forget_alarm()
        _requests.remove(request)
        for number, handler in before.items():
            # None is a handler that was not installed by Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
