"""Placeholder datasets: they give a sampler its shape, without data to compare with."""

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
    """One gray image of shape (`channels`, `image_size`, `image_size`), to sample or benchmark a
    pretrained network without its data.

    It has no test split, so metrics that compare with data are refused.
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
        return _length(self.split)

    @property
    def fingerprint(self) -> str:
        return _fingerprint("gray", self.shape, self.split)

    @property
    def description(self) -> str:
        return "one gray image as a placeholder: no data"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        _length(self.split)
        return {"x1": torch.full((len(indices), *self.shape), GRAY, dtype=torch.uint8)}


@final
@dataclass(frozen=True)
class BlankLatents(Dataset):
    """One zero tensor of shape (`channels`, `image_size`, `image_size`): `blank` for networks on
    latents.

    Samples are stored as numbers, not as images: fmcore does not decode them.
    """

    channels: Annotated[int, Gt(0)] = 4
    image_size: Annotated[int, Gt(0)] = 32

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.image_size, self.image_size)

    @property
    def length(self) -> int:
        return _length(self.split)

    @property
    def fingerprint(self) -> str:
        return _fingerprint("zero", self.shape, self.split)

    @property
    def description(self) -> str:
        return "one zero tensor as a placeholder: no data"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        _length(self.split)
        return {"x1": torch.zeros(len(indices), *self.shape)}


def _length(split: Split) -> int:
    """Return the number of samples.  Raises DataError for the test split, which does not exist."""
    if split == "test":
        raise DataError(
            "a blank dataset is a placeholder without data, so nothing can be compared with it: "
            "set data.name to a dataset (see `fmcore plugins ls`)"
        )
    return 1


def _fingerprint(what: str, shape: tuple[int, ...], split: Split) -> str:
    _length(split)
    return hashlib.sha256(f"blank {what} {shape}".encode()).hexdigest()[:16]
