"""The processes that work on one run together: which is the main one, and what they exchange.

Python objects are exchanged over separate groups on the CPU, so that no training step waits for a
device.  No wait is without end: a process that died or hangs ends the others with an error.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TypeVar, final

import torch
from torch import distributed

from fmcore.errors import FmcoreError

__all__ = ["Distributed", "process_timeout"]

T = TypeVar("T")

TIMEOUT_VARIABLE = "FMCORE_PROCESS_TIMEOUT"
"""The environment variable that sets, in seconds, how long processes wait for one another."""

PROCESS_TIMEOUT = timedelta(minutes=30)
"""The default: longer than processes with equal work are ever apart."""

BARRIER_TIMEOUT = timedelta(days=2)
"""How long the main process may work alone, for example on a metric, while it still responds."""

WORKING, DONE = 0, 1

_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe|tim(ed|e) ?out", re.IGNORECASE)
"""What torch's errors hold if another process of a group is gone or does not answer."""


def process_timeout() -> timedelta:
    """Return how long processes wait for one another.  Raises FmcoreError for no number above 0."""
    text = os.environ.get(TIMEOUT_VARIABLE)
    if not text:
        return PROCESS_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise FmcoreError(f"{TIMEOUT_VARIABLE} should be a number of seconds, not '{text}'")
    return timedelta(seconds=seconds)


@final
class Distributed:
    """All processes that torchrun or `accelerate launch` started, or this one alone.

    Every process must call every method in the same order.
    """

    def __init__(self) -> None:
        several = distributed.is_available() and distributed.is_initialized()
        self.size = distributed.get_world_size() if several else 1
        self.rank = distributed.get_rank() if several else 0
        self._group = self._signs_of_life = None
        if self.size > 1:
            timeout = process_timeout()
            self._group = distributed.new_group(backend="gloo", timeout=timeout)
            # a group of its own: a thread uses it while the main process works
            self._signs_of_life = distributed.new_group(backend="gloo", timeout=timeout)
        if several:
            _destroy_group_at_exit()

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run folder; exactly one does."""
        return self.rank == 0

    def on_main(self, act: Callable[[], T]) -> T:
        """Run `act` in the main process alone, and return its result in every process.

        An FmcoreError or KeyboardInterrupt that it raises is raised in every process.
        """
        if self._group is None:
            return act()
        shared: list[T | FmcoreError | KeyboardInterrupt | None] = [None]
        if self.is_main:
            with self._showing_life():
                shared[0] = _outcome(act)
        else:
            self._wait_for_main()
        distributed.broadcast_object_list(shared, src=0, group=self._group)
        if isinstance(shared[0], FmcoreError | KeyboardInterrupt):
            raise shared[0]
        return shared[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes by rank, in the main process; [] in the others."""
        if self._group is None:
            return [value]
        values: list[T | None] | None = [None] * self.size if self.is_main else None
        distributed.gather_object(value, values, dst=0, group=self._group)
        return values or []  # type: ignore[return-value]  # filled in

    def on_all(self, act: Callable[[], T]) -> T:
        """Run `act` in every process, and return its result there.

        An FmcoreError or KeyboardInterrupt that it raises in one is raised in all.
        """
        if self._group is None:
            return act()
        outcome = _outcome(act)
        failure = outcome if isinstance(outcome, FmcoreError | KeyboardInterrupt) else None
        failures: list[FmcoreError | KeyboardInterrupt | None] = [None] * self.size
        distributed.all_gather_object(failures, failure, group=self._group)
        for raised in failures:
            if raised is not None:
                raise raised
        return outcome  # type: ignore[return-value]

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is true in at least one process."""
        if self._group is None:
            return flag
        flags = torch.tensor([int(flag)])
        distributed.all_reduce(flags, op=distributed.ReduceOp.MAX, group=self._group)
        return bool(flags.item())

    @contextmanager
    def reporting_lost(self) -> Iterator[None]:
        """Turn torch's errors of a lost process into an FmcoreError of one line."""
        try:
            yield
        except (RuntimeError, ConnectionError) as error:
            if self.size == 1 or not _LOST.search(str(error)):
                raise
            raise FmcoreError(
                f"process {self.rank}: another of the {self.size} processes ended or did not "
                f"answer for {process_timeout()}; what was saved is valid: give the same command "
                f"again (a longer wait: {TIMEOUT_VARIABLE}=SECONDS)"
            ) from error

    @contextmanager
    def _showing_life(self) -> Iterator[None]:
        """Let a thread send signs of life to the processes that wait for this one."""
        ended = threading.Event()
        thread = threading.Thread(target=self._show_life, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _show_life(self, ended: threading.Event) -> None:
        every = process_timeout().total_seconds() / 4
        for _ in range(int(BARRIER_TIMEOUT.total_seconds() / every)):
            if ended.wait(every):
                break
            self._exchange_sign(WORKING)
        self._exchange_sign(DONE)

    def _wait_for_main(self) -> None:
        while self._exchange_sign(WORKING) == WORKING:
            pass

    def _exchange_sign(self, sign: int) -> int:
        """Broadcast the main process's `sign`, and return it in every process."""
        shared = torch.tensor([sign])
        distributed.broadcast(shared, src=0, group=self._signs_of_life)
        return int(shared.item())


def _outcome(act: Callable[[], T]) -> T | FmcoreError | KeyboardInterrupt:
    try:
        return act()
    except (FmcoreError, KeyboardInterrupt) as error:
        return error


@cache  # register once, however many runs this process makes
def _destroy_group_at_exit() -> None:
    # torch warns of a group that is still there when the process ends
    atexit.register(_destroy_group)


def _destroy_group() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
