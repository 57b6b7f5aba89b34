"""Images with a low-resolution copy of each as a condition: the paper's section 6.3."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, Any, cast, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F

from fmcore import ComponentError, ConditionSpec, DataError, Dataset, ImageDataset
from fmcore_data.decoding import Decoder

__all__ = ["SuperResolution"]


@final
@dataclass(frozen=True)
class SuperResolution(ImageDataset):
    """The images of the dataset `of`, and `low`: each image averaged over squares of
    `factor` x `factor` pixels and rounded to its levels, `(channels, height, width)` in [-1, 1].

    A network reads it by `conditions: [low]`; a sample's own low-resolution image is a file,
    `condition.low=FILE`.  Labels of `of` stay.  `flip` and `dequantize` are options here, not of
    `of`.  Raises ComponentError where `factor` does not divide the image's sides.
    """

    of: Dataset
    factor: Annotated[int, Gt(1)] = 4

    def __post_init__(self) -> None:
        if not isinstance(self.of, ImageDataset):
            raise ComponentError(
                f"data 'super_resolution' needs images, and {type(self.of).__name__} has none: "
                "set data.of to a dataset of images"
            )
        if self.of.flip or self.of.dequantize != "uniform":
            raise ComponentError(
                "data 'super_resolution' flips and dequantizes itself: set data.flip and "
                "data.dequantize, not those of data.of"
            )

    @cached_property
    def _images(self) -> ImageDataset:
        same = self.of if self.of.split == self.split else self.of.with_split(self.split)
        return cast(ImageDataset, same)  # held in the constructor

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.of.shape
        if shape[1] % self.factor or shape[2] % self.factor:
            raise ComponentError(
                f"data.factor {self.factor} does not divide images of {shape[1]}x{shape[2]}"
            )
        return shape

    @property
    def low_shape(self) -> tuple[int, ...]:
        """The shape of `low`, without the batch."""
        channels, height, width = self.shape
        return (channels, height // self.factor, width // self.factor)

    @property
    def levels(self) -> int:
        return cast(ImageDataset, self.of).levels

    @property
    def classes(self) -> int:
        return self.of.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.of.class_names

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        low = ConditionSpec(self.low_shape, droppable=True)
        try:
            others = {**super().entries, **self.of.entries}
        except DataError:  # only files hold the labels; a dry run without them needs `low`
            others = {}
        return {**others, "low": low}

    @property
    def length(self) -> int:
        return self._images.length

    @property
    def fingerprint(self) -> str:
        name = f"super_resolution 1/{self.factor}/{self._images.fingerprint}"
        return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()

    @property
    def description(self) -> str:
        return self._images.description

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        batch = self._images.batch(indices)
        return {**batch, "low": self.reduced(batch["x1"])}

    def reduced(self, k: Tensor) -> Tensor:
        """Return the low-resolution images, in [-1, 1], of levels `k`, `(batch, *shape)`."""
        low = F.avg_pool2d(k.float(), self.factor).round()
        return low / ((self.levels - 1) / 2) - 1

    def encode(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """As of every dataset; `low` may be an image file too.

        A larger square is averaged down to the size of `low`.
        """
        low = given.get("low")
        if not isinstance(low, str | FilePath):
            return super().encode(given)
        rest = super().encode({k: v for k, v in given.items() if k != "low"})
        return {**rest, "low": self._opened(FilePath(low).expanduser())}

    def _opened(self, file: FilePath) -> Tensor:
        channels, height, width = self.low_shape
        if not file.is_file():
            raise ComponentError(f"condition 'low': there is no file {file}")
        size = height if height == width else None
        pixels = Decoder(size, channels=1 if channels == 1 else 3)(file.read_bytes(), str(file))
        if pixels.shape != self.low_shape:
            raise ComponentError(
                f"condition 'low': {file} is {pixels.shape[2]}x{pixels.shape[1]} pixels; needed: "
                f"{width}x{height}"
            )
        levels = torch.from_numpy(pixels.copy()).float() * ((self.levels - 1) / 255)
        return (levels.round() / ((self.levels - 1) / 2) - 1)[None]
