"""The order in which epochs visit the examples, as a function of (seed, epoch).

Nothing of the size of the dataset is stored: place p of an epoch is found by a Feistel network on
pairs of digits, whose round functions are random tables of about sqrt(length) entries.
"""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.randomness import generator_for

__all__ = ["EpochOrder", "EpochOrders"]

ROUNDS = 8
"""Four random rounds look random to one who sees few places (Luby and Rackoff 1988); the double is
for tables of a few entries, and costs a gather and an addition a round."""

BLOCK = 2**14
"""Places that are evaluated at once: a batch alone would cost the overhead of forty operations."""

SPAN = 64
"""The number of batches in a window of examples that are sorted by size: batches are of like length
to 1/64 of the range of sizes, and every window is a random part of the data."""


@final
class EpochOrder:
    """A random permutation of 0 .. length - 1, evaluated at any places.

    The digits (high, low) of a place, in the bases `rows` and `columns`, take turns in being moved
    by a table entry of the other.  Places beyond `length` are permuted on until they come back
    (cycle walking); fewer than `columns` of them exist.  Source: Black and Rogaway 2002, section 4.
    """

    def __init__(self, seed: int, epoch: int, length: int) -> None:
        self.length = length
        # a power of two, so that one of the two remainders is a mask
        self.bits = (max(1, length) - 1).bit_length() // 2
        self.columns = 1 << self.bits
        self.rows = -(-length // self.columns)
        generator = generator_for(seed, "order", epoch)
        bases = [(self.rows, self.columns), (self.columns, self.rows)] * (ROUNDS // 2)
        self._tables = [
            torch.randint(moved, (by,), generator=generator) for moved, by in bases if length
        ]

    def __call__(self, places: Tensor) -> Tensor:
        """Return the examples at `places`, `(places,)` int64 in [0, length)."""
        found = self._permuted(places)
        while True:
            outside = (found >= self.length).nonzero()[:, 0]
            if not len(outside):
                return found
            found[outside] = self._permuted(found[outside])

    def _permuted(self, places: Tensor) -> Tensor:
        high, low = places >> self.bits, places & (self.columns - 1)
        for first, second in zip(self._tables[::2], self._tables[1::2], strict=True):
            high = (high + first[low]).remainder_(self.rows)
            low = (low + second[high]).bitwise_and_(self.columns - 1)
        return high * self.columns + low


@final
class EpochOrders:
    """The examples of a training by position: epoch after epoch, each a permutation.

    With `sizes`, `(length,)`, the batches of `batch_size` consecutive positions hold examples of
    like size: each window of SPAN batches is sorted by size, cut into batches, and these are
    shuffled.
    """

    def __init__(self, seed: int, length: int, batch_size: int, sizes: Tensor | None) -> None:
        self._seed, self._length = seed, length
        self._batch_size = batch_size
        # of two epochs: a batch may end one and begin the next
        self._order = lru_cache(maxsize=2)(lambda epoch: EpochOrder(seed, epoch, length))
        # kept: a block serves several batches, and a window the SPAN batches that it is sorted into
        runs, self._width = (self._block, BLOCK)
        if sizes is not None:
            runs, self._width = partial(self._window, sizes), SPAN * batch_size
        self._run = lru_cache(maxsize=2)(runs)

    def __call__(self, start: int, stop: int) -> Tensor:
        """Return the examples at positions start .. stop - 1, int64."""
        parts = []
        while start < stop:
            epoch, place = divmod(start, self._length)
            end = min(stop, (epoch + 1) * self._length)
            parts.append(self._of_epoch(epoch, place, place + end - start))
            start = end
        return torch.cat(parts) if len(parts) != 1 else parts[0]

    def _of_epoch(self, epoch: int, start: int, stop: int) -> Tensor:
        width = self._width
        numbers = range(start // width, -(-stop // width))
        found = torch.cat([self._run(epoch, number) for number in numbers])
        first = numbers.start * width
        return found[start - first : stop - first]

    def _block(self, epoch: int, number: int) -> Tensor:
        """Return the examples at the places number * width and following."""
        start = number * self._width
        stop = min(start + self._width, self._length)
        return self._order(epoch)(torch.arange(start, stop))

    def _window(self, sizes: Tensor, epoch: int, number: int) -> Tensor:
        """Return the same examples in batches of like size."""
        examples = self._block(epoch, number)
        start = number * self._width
        stop = start + len(examples)
        examples = examples[sizes[examples].sort(stable=True).indices]
        # Where the batches of the training begin and end within the window: an epoch begins in the
        # middle of a batch unless the batch size divides the length.
        first = start + (-(epoch * self._length + start)) % self._batch_size
        cuts = sorted({start, *range(first, stop, self._batch_size), stop})
        widths = [b - a for a, b in pairwise(cuts)]
        generator = generator_for(self._seed, "windows", epoch, number)
        turns = torch.randperm(len(widths), generator=generator).tolist()
        found, first = torch.empty_like(examples), 0
        for turn in turns:
            place = cuts[turn] - start
            found[place : place + widths[turn]] = examples[first : first + widths[turn]]
            first += widths[turn]
        return found
