"""Stand-ins for data: what gives a sampler its shape when there is nothing to compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import DataError, Dataset, ImageDataset, Split

__all__ = ["Blank", "BlankLatents"]

GRAY = 128


@final
@dataclass(frozen=True)
class Blank(ImageDataset):
    """One gray image of `channels` and `image_size`, to sample or benchmark a pretrained network
    without its data.

    There is no test split: a metric that compares with data is refused.
    """

    channels: Annotated[int, Gt(0)] = 3
    image_size: Annotated[int, Gt(0)] = 32
    dequantize: Literal["uniform", "none"] = field(default="none", kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.image_size, self.image_size)

    @property
    def levels(self) -> int:
        return 256

    @property
    def length(self) -> int:
        return _one(self.split)

    @property
    def fingerprint(self) -> str:
        return _mark("gray", self.shape, self.split)

    @property
    def description(self) -> str:
        return "one gray image: no data, but their shape"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        _one(self.split)
        return {"x1": torch.full((len(indices), *self.shape), GRAY, dtype=torch.uint8)}


@final
@dataclass(frozen=True)
class BlankLatents(Dataset):
    """One point at 0 of `channels` and `image_size`: `blank` for networks whose data are latents.

    Samples are kept as numbers, not as images: the decoder is yours.
    """

    channels: Annotated[int, Gt(0)] = 4
    image_size: Annotated[int, Gt(0)] = 32

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.image_size, self.image_size)

    @property
    def length(self) -> int:
        return _one(self.split)

    @property
    def fingerprint(self) -> str:
        return _mark("zero", self.shape, self.split)

    @property
    def description(self) -> str:
        return "one point at 0: no data, but their shape"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        _one(self.split)
        return {"x1": torch.zeros(len(indices), *self.shape)}


def _one(split: Split) -> int:
    """The number of examples.  Raises DataError for the split that is not there."""
    if split == "test":
        raise DataError(
            "a blank data set stands in for data that are not there, so nothing can be compared "
            "with it: name the real ones (data.name=..., see `fmcore plugins ls`)"
        )
    return 1


def _mark(what: str, shape: tuple[int, ...], split: Split) -> str:
    _one(split)
    return hashlib.sha256(f"blank {what} {shape}".encode()).hexdigest()[:16]
