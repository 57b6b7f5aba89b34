"""Interface of codecs: maps between the space of the data and that of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

__all__ = ["Decoded"]


@final
@dataclass(frozen=True)
class Decoded:
    """What a codec makes of states: `values`, `(batch, *shape)`.

    For sounds `rate` is the number of samples per second, and `lengths`, `(batch,)`, how many
    values of each row exist, on the last axis; None: all.
    """

    values: Tensor
    rate: int | None = None
    lengths: Tensor | None = None
