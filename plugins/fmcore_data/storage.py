"""Images and labels as every format provides them, and the dataset made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fmcore import DataError, ImageDataset, image_fingerprint
from fmcore_data.dataset_names import name_known_dataset

__all__ = ["Arrays", "Images", "Labels", "Pixels", "StoredImages"]

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


class Images(ABC):
    """`count` images of `shape`, (channels, height, width), uint8, in a fixed order.

    `labels` are class numbers below `classes`, or None; `names` are those of the classes, or ().
    """

    shape: tuple[int, ...]
    labels: Labels | None
    classes: int
    names: tuple[str, ...] = ()

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of images."""

    @abstractmethod
    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        """Return the images at `indices`, `(len(indices), *shape)`, in that order."""


@final
class Arrays(Images):
    """Images in one array `(count, *shape)`, in memory or memory-mapped."""

    def __init__(
        self,
        pixels: Pixels,
        labels: Labels | None,
        classes: int = 0,
        names: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.pixels = pixels
        self.shape = pixels.shape[1:]
        self.labels = labels
        self.classes = classes

    @property
    def count(self) -> int:
        return len(self.pixels)

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        return self.pixels[indices]


@dataclass(frozen=True)
class StoredImages(ImageDataset):
    """An image dataset defined by how its files are opened; 256 levels unless overridden."""

    @abstractmethod
    def _open(self) -> Images:
        """Return the images of `split`.

        Raises DataError for missing or damaged files, its subclass MissingSplitError if only the
        other split is there.
        """

    @cached_property
    def _images(self) -> Images:
        return self._open()

    @property
    def levels(self) -> int:
        return 256

    @property
    def shape(self) -> tuple[int, ...]:
        return self._images.shape

    @property
    def classes(self) -> int:
        return self._images.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._images.names

    @property
    def length(self) -> int:
        return self._images.count

    @cached_property
    def fingerprint(self) -> str:
        images = self._images
        return image_fingerprint(images.count, images.shape, images.labels, images.read)

    @property
    def description(self) -> str:
        return name_known_dataset(self.shape, self.split, self.length)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        images, rows = self._images, np.asarray(indices, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < images.count:
            wrong = rows.min() if rows.min() < 0 else rows.max()
            raise DataError(f"index {wrong} is out of range: there are {images.count} images")
        batch = {"x1": torch.from_numpy(np.ascontiguousarray(images.read(rows)))}
        if images.labels is not None:
            batch["label"] = torch.from_numpy(images.labels[rows])
        return batch
