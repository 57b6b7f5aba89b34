"""Random streams by name: each is a function of the seed, a purpose and integers such as a step.

Nothing draws from a global generator, so that a sample does not depend on the batch size, nor a
training step on what ran before it.  Rows of a batch have `fmcore.interfaces.rows`; a generator is
for what is drawn as a whole, such as the times of a step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from fmcore.interfaces.rows import Rows
from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.source import Condition, Source

__all__ = ["generator_for", "noise_of", "stream_seed"]


def stream_seed(seed: int, purpose: str, *where: int) -> int:
    """Return a 63-bit seed for the stream of `purpose` and any integers (step, rank, index, ...).

    >>> stream_seed(0, "noise", 17) == stream_seed(0, "noise", 17) != stream_seed(0, "noise", 18)
    True
    """
    name = "/".join([str(seed), purpose, *map(str, where)]).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") >> 1


def generator_for(seed: int, purpose: str, *where: int) -> torch.Generator:
    """Return a CPU generator at the start of the stream of `stream_seed`."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, *where))


def noise_of(
    source: Source,
    indices: Sequence[int],
    shape: tuple[int, ...],
    seed: int,
    condition: Condition | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return the noise of samples `indices`, `(len(indices), *shape)`, on `device`.

    The row of sample i is a function of (seed, i) and its row of `condition` alone.  Raises
    ComponentError for a source that draws another shape.
    """
    drawn = source.sample(Rows(seed, "sample", 0, indices, device), shape, condition, dtype)
    wanted = (len(indices), *shape)
    require_shape(drawn, wanted, f"a draw of source {type(source).__name__}")
    return drawn
