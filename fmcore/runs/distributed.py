"""The processes that work on one run together: who leads, and what they agree on.

Agreement goes over a group of its own on the CPU, so that no step waits for a device.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TypeVar, final

import torch
from torch import distributed

from fmcore.errors import FmcoreError

__all__ = ["Team"]

T = TypeVar("T")

PATIENCE = timedelta(days=2)
"""How long the others wait while one works alone; one that died is noticed at once all the same."""


@final
class Team:
    """All processes that torchrun or `accelerate launch` started, or this one alone.

    Every method but `leads` must be called by all of them, in the same order.
    """

    def __init__(self) -> None:
        together = distributed.is_available() and distributed.is_initialized()
        self.size = distributed.get_world_size() if together else 1
        self.rank = distributed.get_rank() if together else 0
        self._group = (
            distributed.new_group(backend="gloo", timeout=PATIENCE) if self.size > 1 else None
        )
        if together:
            _leave_at_exit()

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder; exactly one does."""
        return self.rank == 0

    def first(self, act: Callable[[], T]) -> T:
        """What `act` gives in the leading process, in all of them; it runs in that one only.

        An FmcoreError that it raises there is raised in all.
        """
        if self._group is None:
            return act()
        said: list[T | FmcoreError | None] = [_outcome(act) if self.leads else None]
        distributed.broadcast_object_list(said, src=0, group=self._group)
        if isinstance(said[0], FmcoreError):
            raise said[0]
        return said[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank, in the leading process; nothing in the others."""
        if self._group is None:
            return [value]
        there: list[T | None] | None = [None] * self.size if self.leads else None
        distributed.gather_object(value, there, dst=0, group=self._group)
        return there or []  # type: ignore[return-value]  # filled in

    def each(self, act: Callable[[], T]) -> T:
        """What `act` gives in this process; it runs in all of them.

        An FmcoreError that it raises in one is raised in all.
        """
        if self._group is None:
            return act()
        outcome = _outcome(act)
        failure = outcome if isinstance(outcome, FmcoreError) else None
        failures: list[FmcoreError | None] = [None] * self.size
        distributed.all_gather_object(failures, failure, group=self._group)
        for raised in failures:
            if raised is not None:
                raise raised
        return outcome  # type: ignore[return-value]

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in at least one process."""
        if self._group is None:
            return flag
        flags = torch.tensor([int(flag)])
        distributed.all_reduce(flags, op=distributed.ReduceOp.MAX, group=self._group)
        return bool(flags.item())


def _outcome(act: Callable[[], T]) -> T | FmcoreError:
    try:
        return act()
    except FmcoreError as error:
        return error


@cache
def _leave_at_exit() -> None:
    """Once a process: torch warns of a group that was never left."""
    atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
