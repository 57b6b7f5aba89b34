"""Encoded image files, in a folder or inside another file, decoded when they are read."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, final

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from fmcore import DataError
from fmcore_data.decoding import Channels, Decoder
from fmcore_data.splits import Splits, check_splits
from fmcore_data.storage import Images, Labels, Pixels, StoredImages

__all__ = ["Encoded", "EncodedImages", "Files", "number_by_name"]

MIN_THREADED = 16
"""Fewer images are decoded faster without the exchange between threads."""


class Files(ABC):
    """Encoded images by number."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of files."""

    @abstractmethod
    def content(self, index: int) -> bytes:
        """The bytes of file `index`; called from several threads."""

    @abstractmethod
    def name(self, index: int) -> str:
        """The name of file `index` in messages."""


@final
class Encoded(Images):
    """`files`, decoded by `decoder`; without `image_size` all must have the size of the first."""

    def __init__(
        self,
        files: Files,
        decoder: Decoder,
        labels: Labels | None,
        classes: int,
        names: tuple[str, ...] = (),
    ) -> None:
        if files.count == 0:
            raise DataError("there are no images to read")
        self.files = files
        self.decoder = decoder
        self.labels = labels
        self.classes = classes
        self.names = names
        self.shape = self._pixels(0).shape

    @property
    def count(self) -> int:
        return self.files.count

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        rows = [int(index) for index in indices]
        # Pillow releases the interpreter's lock while it decodes, so that threads help.
        decoded = (_threads().map if len(rows) >= MIN_THREADED else map)(self._checked, rows)
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
    """A dataset of encoded files below or inside `root`, decoded to `channels` and `image_size`.

    `splits` chooses the files of each split; without it their names do, by the rule of
    `fmcore_data.split_names`.  A dataset without a test split holds `held_out` images out for it.
    """

    root: FilePath
    image_size: Annotated[int, Gt(0)] | None = None
    channels: Channels = 3
    held_out: Annotated[int, Ge(0)] = field(default=0, kw_only=True)
    # A mapping has no hash; without it, equal datasets still have equal hashes.
    splits: Splits | None = field(default=None, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        check_splits(self.splits)

    @property
    def shape(self) -> tuple[int, ...]:
        size = self.image_size
        return super().shape if size is None else (self.channels, size, size)

    def _decoded(
        self, files: Files, labels: Labels | None, classes: int, names: tuple[str, ...] = ()
    ) -> Encoded:
        return Encoded(files, Decoder(self.image_size, self.channels), labels, classes, names)


def number_by_name(names: list[str], classes: list[str]) -> Labels:
    """The index of each name among the sorted `classes`."""
    numbers = {name: index for index, name in enumerate(sorted(classes))}
    return np.array([numbers[name] for name in names], np.int64)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}"


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
