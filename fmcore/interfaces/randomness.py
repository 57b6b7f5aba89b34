"""Randomness by name: every stream is a function of the seed, what it is for, and where in the run
it stands.

Nothing draws from a global generator, so that a sample does not change with the batch size, nor a
training step with what ran before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.source import Condition, Source

__all__ = ["generator_for", "noise_of", "stream_seed"]


def stream_seed(seed: int, purpose: str, *where: int) -> int:
    """A 63-bit seed for the stream named by `purpose` and any integers (step, rank, index, ...).

    >>> stream_seed(0, "noise", 17) == stream_seed(0, "noise", 17) != stream_seed(0, "noise", 18)
    True
    """
    name = "/".join([str(seed), purpose, *map(str, where)]).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") >> 1


def generator_for(seed: int, purpose: str, *where: int) -> torch.Generator:
    """A CPU generator at the beginning of that stream."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, *where))


def noise_of(
    source: Source,
    indices: Iterable[int],
    shape: tuple[int, ...],
    seed: int,
    condition: Condition | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Row by row the noise of samples `indices`: row i is a function of (seed, i) and its condition
    alone.
    """
    rows = []
    for row, index in enumerate(indices):
        own = (
            None if condition is None else {k: v[row : row + 1].cpu() for k, v in condition.items()}
        )
        drawn = source.sample(1, shape, generator_for(seed, "sample", index), own, dtype)
        require_shape(drawn, (1, *shape), f"a draw of source {type(source).__name__}")
        rows.append(drawn)
    return torch.cat(rows) if rows else torch.empty((0, *shape), dtype=dtype)
