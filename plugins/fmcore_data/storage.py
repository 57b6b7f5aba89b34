"""What every image format boils down to: a count of uint8 images and their labels."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fmcore import DataError, ImageDataset

__all__ = ["Arrays", "Images", "Labels", "Pixels", "StoredImages", "fingerprint_of"]

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

HASHED_WHOLE = 65_536
HASHED_OF_LARGER = 4_096


class Images(ABC):
    """`count` images of `shape`, (channels, height, width), in a fixed order, read where they lie.

    `labels` are class indices below `classes`, or None.
    """

    shape: tuple[int, ...]
    labels: Labels | None
    classes: int

    @property
    @abstractmethod
    def count(self) -> int:
        """How many there are."""

    @abstractmethod
    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        """The images at `indices`, `(len(indices), *shape)`, in that order."""


@final
class Arrays(Images):
    """Images that lie in memory, or in a memory map, as one array `(count, *shape)`."""

    def __init__(self, pixels: Pixels, labels: Labels | None, classes: int = 0) -> None:
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
    """An image data set that says only how to open its files; 256 levels unless overridden."""

    @abstractmethod
    def _open(self) -> Images:
        """The images of `split`.  Raises DataError for what is missing or damaged."""

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
    def length(self) -> int:
        return self._images.count

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint_of(self._images)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        images, rows = self._images, np.asarray(indices, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < images.count:
            raise DataError(
                f"index {rows.min() if rows.min() < 0 else rows.max()} of a data set "
                f"of {images.count} images"
            )
        batch = {"x1": torch.from_numpy(np.ascontiguousarray(images.read(rows)))}
        if images.labels is not None:
            batch["label"] = torch.from_numpy(images.labels[rows])
        return batch


def fingerprint_of(images: Images) -> str:
    """A hash of shape, count, labels and pixels: the same in whatever format the images lie.

    Sets above 65,536 images are too long to decode at every start; of those, the pixels of 4,096
    images at even distances are hashed.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"images 1/{images.count}/{images.shape}".encode())
    if images.labels is not None:
        digest.update(images.labels.astype("<i8").tobytes())
    whole = images.count <= HASHED_WHOLE
    chosen = np.linspace(0, images.count - 1, images.count if whole else HASHED_OF_LARGER)
    rows = chosen.round().astype(np.int64)
    for first in range(0, len(rows), 1024):
        digest.update(images.read(rows[first : first + 1024]).tobytes())
    return digest.hexdigest()
