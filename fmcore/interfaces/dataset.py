"""Data to learn from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, Self, final

from torch import Tensor

__all__ = ["Dataset", "ImageDataset", "Split"]

Split = Literal["train", "test"]
"""The part of a dataset: `train` is for training, `test` is held out."""


@dataclass(frozen=True)
class Dataset(ABC):
    """A finite set of examples in a fixed order.

    Laws:
    * `batch(indices)` is a pure function: the same indices give the same tensors, in that order, on
      the CPU, row i from index i alone.  `x1` is `(batch, *shape)`; every further entry is a
      condition (`label`: int64, below `classes`).
    * `fingerprint` is a hash of the content that the other options select: equal data, equal
      fingerprint, on any machine.
    * Constructing one is cheap and touches no file; the first look at the content may read.
      Missing data raises DataError naming the package or download and the option to set.
    * The splits share no example.
    """

    kind: ClassVar[str] = "data"

    split: Split = field(default="train", kw_only=True)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""

    @property
    def classes(self) -> int:
        """How many classes the labels tell apart; 0 without labels."""
        return 0

    @property
    def levels(self) -> int | None:
        """How many integer levels a value of `x1` has; None for continuous data, which is given as
        float32.
        """
        return None

    @property
    def pairs(self) -> bool:
        """Whether a batch holds `x0` too, the noise or the point that each `x1` is paired with."""
        return False

    @property
    @abstractmethod
    def length(self) -> int:
        """How many examples this split holds."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A short hexadecimal hash of the content."""

    @property
    def description(self) -> str:
        """Which set this is, in a line, where its content tells; else nothing."""
        return ""

    @classmethod
    def recognizes(cls, place: Path) -> bool:
        """Whether the file or folder `place` looks like this format, with `root=place` as the only
        option: so that `fmcore data pack PLACE` need not be told."""
        return False

    @abstractmethod
    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The examples at `indices`, each in [0, length): `x1` and its conditions."""

    @final
    def with_split(self, split: Split) -> Self:
        """The same data set, the other part of it."""
        return replace(self, split=split)


@dataclass(frozen=True)
class ImageDataset(Dataset):
    """Images `(channels, height, width)` as uint8 levels 0 .. levels - 1.

    `dequantize` says how levels become points of [-1, 1] (see `fmcore.interfaces.levels`); `flip`
    lets the trainer mirror images left to right with probability 1/2.
    """

    dequantize: Literal["uniform", "none"] = field(default="uniform", kw_only=True)
    flip: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def levels(self) -> int:
        """How many integer levels a pixel has: 256 for 8-bit images."""
