"""Sums of a training's losses and gradient norms, and its first step that is not finite."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

__all__ = ["StepStats"]

UNREAD = 64
"""Steps whose numbers are kept one by one before they are added up: sums at every step would take
ten small operations, which a small network's step would feel."""


@final
class StepStats:
    """Numbers of the steps since they were last read, on the training's device.

    With `finite_norms`, a step whose gradient norm is not finite is bad, as is one whose loss is
    not.
    """

    def __init__(self, device: torch.device, finite_norms: bool) -> None:
        self._finite_norms = finite_norms
        self._unread: list[tuple[Tensor, Tensor, Tensor]] = []
        self._step = 0  # the first unread one
        self._sums: Tensor | None = None
        self._count = 0
        # on the device: reading a loss at every step would wait for it
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=device)

    def add(self, step: int, loss: Tensor, norm: Tensor, named: Tensor) -> None:
        """Add the loss, the gradient norm, both scalars, and each named loss of step `step`."""
        if not self._unread:
            self._step = step
        self._unread.append((loss, norm, named))
        if len(self._unread) == UNREAD:
            self._add_up()

    def means(self, losses: int) -> Tensor:
        """Return the means of loss, gradient norm and the named `losses` since the last call."""
        self._add_up()
        sums, count = self._sums, self._count
        self._sums, self._count = None, 0
        if sums is None:
            return torch.zeros(2 + losses, device=self._first_bad.device)
        return sums / count

    def first_bad(self) -> Tensor:
        """Return the first bad step ever, int64 on the device; -1 if there is none."""
        self._add_up()
        return self._first_bad

    def _add_up(self) -> None:
        if not self._unread:
            return
        loss, norm, named = (torch.stack(column) for column in zip(*self._unread, strict=True))
        good = torch.isfinite(norm)
        bad = ~torch.isfinite(loss)
        if self._finite_norms:
            bad |= ~good
        # the maximum of equal values has the first index
        first = torch.where(bad.any(), self._step + bad.int().argmax(), -1)
        self._first_bad = torch.where(self._first_bad < 0, first, self._first_bad)
        columns = torch.cat([loss[:, None], torch.where(good, norm, 0)[:, None], named], 1)
        sums = columns.sum(0)
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += len(self._unread)
        self._unread = []
