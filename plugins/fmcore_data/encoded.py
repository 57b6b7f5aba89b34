"""Encoded image files, in a folder or inside another file, decoded as they are read."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Annotated, final

import numpy as np
import numpy.typing as npt
from annotated_types import Gt

from fmcore import DataError
from fmcore_data.decoding import Channels, Decoder
from fmcore_data.storage import Images, Labels, Pixels, StoredImages

__all__ = ["Encoded", "EncodedImages", "Files", "labels_by_name"]

WORTH_THREADS = 16


class Files(ABC):
    """Encoded images by number, wherever they lie."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many there are."""

    @abstractmethod
    def content(self, index: int) -> bytes:
        """The bytes of file `index`; called from several threads."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What messages call file `index`."""


@final
class Encoded(Images):
    """`files`, decoded by `decoder`; without an `image_size` all must be as large as the first."""

    def __init__(self, files: Files, decoder: Decoder, labels: Labels | None, classes: int) -> None:
        if files.count == 0:
            raise DataError("there are no images to read")
        self.files = files
        self.decoder = decoder
        self.labels = labels
        self.classes = classes
        self.shape = self._pixels(0).shape

    @property
    def count(self) -> int:
        return self.files.count

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        rows = [int(index) for index in indices]
        # Decoding leaves the interpreter free, so that threads help.
        decoded = (_threads().map if len(rows) >= WORTH_THREADS else map)(self._checked, rows)
        pixels = np.empty((len(rows), *self.shape), np.uint8)
        for row, image in enumerate(decoded):
            pixels[row] = image
        return pixels

    def _pixels(self, index: int) -> Pixels:
        return self.decoder(self.files.content(index), self.files.name(index))

    def _checked(self, index: int) -> Pixels:
        pixels = self._pixels(index)
        if pixels.shape != self.shape:
            raise DataError(
                f"{self.files.name(index)} is {_size(pixels.shape)}, but the first image is "
                f"{_size(self.shape)}: give all one size with data.image_size=N"
            )
        return pixels


@dataclass(frozen=True)
class EncodedImages(StoredImages):
    """A data set of encoded files beneath or inside `root`, and what they are decoded to."""

    root: str
    image_size: Annotated[int, Gt(0)] | None = None
    channels: Channels = 3

    @property
    def shape(self) -> tuple[int, ...]:
        size = self.image_size
        return super().shape if size is None else (self.channels, size, size)

    def _decoded(self, files: Files, labels: Labels | None, classes: int) -> Encoded:
        return Encoded(files, Decoder(self.image_size, self.channels), labels, classes)


def labels_by_name(names: list[str], classes: list[str]) -> Labels:
    """Each name's place among the sorted `classes`."""
    place = {name: index for index, name in enumerate(sorted(classes))}
    return np.array([place[name] for name in names], np.int64)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}"


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
