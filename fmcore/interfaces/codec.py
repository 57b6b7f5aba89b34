"""Interface of codecs: maps between the space of the data and that of the model."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, final

from torch import Tensor

from fmcore.interfaces.options import Options
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Condition

__all__ = ["Codec", "Decoded"]


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

    def rows(self, chosen: Tensor) -> Decoded:
        """Return the rows that `chosen`, a mask or indices, selects."""
        lengths = None if self.lengths is None else self.lengths[chosen]
        return Decoded(self.values[chosen], self.rate, lengths)

    def cpu(self) -> Decoded:
        """Return the same on the CPU, detached."""
        lengths = None if self.lengths is None else self.lengths.detach().cpu()
        return Decoded(self.values.detach().cpu(), self.rate, lengths)


class Codec(Options, ABC):
    """A frozen map from examples to the latents that a flow is trained on, and back.

    A codec that only decodes (`encodes = False`), such as a vocoder, leaves the model in the space
    of the data: `decode` makes something else of a sample, for pictures, sounds and metrics.

    Laws:
    * `shape` is that of what `encode` returns; it raises ComponentError for data of a shape that
      the codec was not made for, and needs no data.
    * `decode` returns examples in the shape of the data (images in [-1, 1]).
    * The root-mean-square error of decode(encode(x1)) is at most `tolerance`, in units of x1, on
      examples that the codec was made for.
    * Row i depends on row i of the arguments alone; random numbers come from `rows`, so that equal
      rows give equal latents, and nothing is drawn from a global generator.
    * Both work on the device of their argument, and return float32 without a gradient.
    * Equal `fingerprint`s mean equal latents: it changes with every option and with the weights.
    """

    kind: ClassVar[str] = "codec"

    encodes: ClassVar[bool] = True
    """Whether the model works on latents; False: `encode` returns x1 as it is."""

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the raw condition that `decode` needs."""
        return frozenset()

    @property
    def tolerance(self) -> float:
        """The largest root-mean-square error of decode(encode(x1)), in units of x1."""
        return 0.1

    @property
    def fingerprint(self) -> str:
        """A short hash of what `encode` and `decode` compute.

        A codec with weights adds their hash; by default it is of the options.
        """
        name = f"{type(self).__module__}.{type(self).__qualname__} {self!r}"
        return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()

    @classmethod
    def found_in(cls, place: Path) -> Self | None:
        """Return the codec that the folder `place` holds, with its default options; None if it is
        of no such codec.  `fmcore data pack --codec PLACE` finds the codec by it.
        """
        return None

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the latents of examples of `shape`, both without the batch."""
        return shape

    def encode(self, x1: Tensor, rows: Rows) -> Tensor:
        """Return the latents of `x1`, `(batch, *shape)`, points as the model would see them.

        `rows` are the random numbers of these rows.  By default x1 as it is.
        """
        return x1

    @abstractmethod
    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        """Return what the states `x`, `(batch, *latent shape)`, stand for.

        `condition` holds the raw conditions of these rows.
        """
