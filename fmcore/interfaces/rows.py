"""Random numbers of rows: each row's are a function of (seed, purpose, step, row) alone.

Word i of a row is a hash of the counter (row, i) under a key of 128 bits, which is itself a hash of
(seed, purpose, step, draw).  Nothing is drawn in sequence, so the batch, the process and the order
of the rows do not matter.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.tensors import to_device

__all__ = ["Rows"]

MAX_ROW = 2**32
"""Rows are numbered below it: a counter is 32 bits of row and 32 bits of word."""

# The constants of SplitMix64 (Steele, Lea, Flood 2014) as signed numbers: torch has no arithmetic
# on uint64, and int64 wraps in the same way.  Chosen by measurement: a hash of two multiplications
# takes 31 us for 1,024 words, where the ten rounds of Philox would be a hundred tensor operations.
GAMMA = 0x9E3779B97F4A7C15 - 2**64
ROW_GAMMA = (GAMMA << 32) % 2**64  # below 2^63
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64

CHUNK = 2**16
"""Words hashed at once.  Half a MiB for each intermediate result stays in a core's cache; a GPU
needs more, DEVICE_CHUNK, to be busy, and 64 MiB is little of its memory."""

DEVICE_CHUNK = 2**23


@final
class Rows:
    """The random numbers of the batch's rows `rows`, drawn on `device`; `numbers` are those rows,
    int64.  A range of steps gives the rows of each of them, one step after the other.

    Each call of `normal`, `uniform` or `integers` is a new draw, independent of the earlier ones:
    equal `Rows` give equal numbers to equal sequences of calls.  The numbers have the same bits on
    every device of one kind; between kinds, normal numbers differ by rounding.

    >>> apart = Rows(0, "noise", 5, [7]).normal((3,))
    >>> torch.equal(Rows(0, "noise", 5, [2, 7]).normal((3,))[1:], apart)
    True

    Raises ComponentError for a row that is negative or at least 2^32, and for another dtype.
    """

    def __init__(
        self,
        seed: int,
        purpose: str,
        step: int | range,
        rows: Sequence[int] | Tensor,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        steps = range(step, step + 1) if isinstance(step, int) else step
        self._names = [f"{seed}/{purpose}/{step}" for step in steps]
        self.numbers = to_device(_numbers(rows).repeat(len(steps)), self.device)
        self._draws = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def normal(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return standard normal numbers, `(len(self), *shape)`, in float32 or float64.

        Source: Box and Muller 1958.  Every number is below 6.8 in size.
        """
        size = math.prod(shape)
        pairs = -(-size // 2)
        drawn = self._empty((2, pairs), dtype)
        for part, words in self._words(pairs):
            # 31 and 32 bits of one word: radius and angle of a pair.  The half keeps the logarithm
            # finite.
            fraction = _shifted(words, 33).to(dtype).add_(0.5).mul_(2.0**-31)
            angle = words.bitwise_and_(2**32 - 1).to(dtype).mul_(math.tau * 2.0**-32)
            radius = fraction.log_().mul_(-2).sqrt_()
            # written in place, one half after the other: interleaving takes as long as the hash
            torch.mul(radius, angle.cos(), out=drawn[part, 0])
            torch.mul(radius, angle.sin_(), out=drawn[part, 1])
        return drawn.flatten(1)[:, :size].reshape(len(self), *shape)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return numbers of [0, 1), `(len(self), *shape)`: multiples of 2^-24 in float32, of 2^-53
        in float64.
        """
        bits = 24 if dtype == torch.float32 else 53
        drawn = self._empty((math.prod(shape),), dtype)
        for part, words in self._words(drawn.shape[1]):
            torch.mul(_shifted(words, 64 - bits).to(dtype), 2.0**-bits, out=drawn[part])
        return drawn.reshape(len(self), *shape)

    def integers(self, high: int, shape: Sequence[int] = ()) -> Tensor:
        """Return integers of [0, high), `(len(self), *shape)` int64.  Raises ComponentError for
        `high` below 1.
        """
        if high < 1:
            raise ComponentError(f"integers below {high}: give a bound of at least 1")
        values = (len(self), math.prod(shape))
        drawn = torch.empty(values, dtype=torch.int64, device=self.device)
        for part, words in self._words(drawn.shape[1]):
            # of 63 bits, so that the excess of small remainders is below high / 2^63
            torch.remainder(_shifted(words, 1), high, out=drawn[part])
        return drawn.reshape(len(self), *shape)

    def _words(self, size: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield `size` words for each row of the next draw, in chunks of whole rows: the rows, and
        their words, `(rows, size)` int64.
        """
        keys = torch.tensor([_key(f"{name}/{self._draws}") for name in self._names])
        self._draws += 1
        # one key for the rows of each step
        keys = to_device(keys, self.device).repeat_interleave(len(self) // max(1, len(keys)), 0)
        # (row 2^32 + word) GAMMA + start: all counters of a draw are distinct, as GAMMA is odd
        rows = (self.numbers * ROW_GAMMA).add_(keys[:, 0]).unsqueeze(1)
        second = keys[:, 1:]
        words = torch.arange(size, device=self.device) * GAMMA
        chunk = max(1, (CHUNK if self.device.type == "cpu" else DEVICE_CHUNK) // max(1, size))
        for first in range(0, len(self), chunk):
            part = slice(first, first + chunk)
            yield part, _hash(rows[part] + words, second[part])

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if dtype not in (torch.float32, torch.float64):
            raise ComponentError(f"random numbers are float32 or float64, not {dtype}")
        return torch.empty((len(self), *shape), dtype=dtype, device=self.device)


def _numbers(rows: Sequence[int] | Tensor) -> Tensor:
    if isinstance(rows, range) and rows.step == 1:
        numbers = torch.arange(rows.start, max(rows.start, rows.stop))
        low, high = rows.start, rows.stop - 1
    else:
        numbers = torch.as_tensor(rows, dtype=torch.int64)
        if numbers.ndim != 1:
            raise ComponentError(f"rows must be a list of numbers, got {tuple(numbers.shape)}")
        low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    if low < 0 or high >= MAX_ROW:
        raise ComponentError(f"rows are numbered from 0 to 2^32 - 1, got {low} to {high}")
    return numbers


def _key(name: str) -> tuple[int, int]:
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    first, second = (int.from_bytes(digest[i : i + 8], "big", signed=True) for i in (0, 8))
    return first, second


def _hash(x: Tensor, second: Tensor) -> Tensor:
    """Hash counters in place: the finalizer of SplitMix64, variant 13 of Stafford, with a second
    key between its multiplications, so that draws whose counters overlap still differ.
    """
    x.bitwise_xor_(_shifted(x, 30)).mul_(FIRST).add_(second)
    x.bitwise_xor_(_shifted(x, 27)).mul_(SECOND)
    return x.bitwise_xor_(_shifted(x, 31))


def _shifted(x: Tensor, bits: int) -> Tensor:
    """x >> bits with zeros from the left: torch repeats the sign."""
    return (x >> bits).bitwise_and_(2 ** (64 - bits) - 1)
