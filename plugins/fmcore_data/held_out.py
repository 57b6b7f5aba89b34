"""The images of one split, held out of the train split where the set has no other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import final

import numpy as np
import numpy.typing as npt

from fmcore import DataError, MissingSplitError, Split
from fmcore_data.splits import Parts
from fmcore_data.storage import Images, Labels, Pixels

__all__ = ["Subset", "read_part", "select_rows"]


def read_part(
    parts: Parts,
    split: Split,
    kept_out: int,
    read: Callable[[list[FilePath]], Images],
    where: FilePath,
) -> Images:
    """The images of `split`, by `read`; those of a set without a test split by `held_out`."""
    if parts.test is not None and kept_out:
        raise DataError(
            f"{where} has a test split of its own: leave out data.held_out, or choose other splits "
            "with data.splits"
        )
    own = parts.of(split)
    if own is not None and not (parts.test is None and kept_out):
        return read(own)
    if parts.train is None:
        raise MissingSplitError(
            f"{where} has a test split only: set data.splits to none to read it as one set, or "
            "data.root to another folder"
        )
    if not kept_out:
        raise MissingSplitError(
            f"{where} has no test split: hold out N of its images with data.held_out=N, or name "
            "one with data.splits"
        )
    images = read(parts.train)
    if kept_out >= images.count:
        raise DataError(
            f"data.held_out={kept_out} leaves none of the {images.count} images in {where} to "
            "train on: set a lower number"
        )
    return Subset(images, select_rows(split, images.count, kept_out))


def select_rows(split: Split, count: int, kept_out: int, salt: str = "") -> npt.NDArray[np.int64]:
    """Which of `count` rows belong to `split`, in order; `kept_out` of them are the test split.

    A hash of the row's number chooses, so that no version of a random generator changes the split.
    """
    order = sorted(range(count), key=lambda row: _hash(f"{salt}{row}"))
    return np.sort(np.array(order[kept_out:] if split == "train" else order[:kept_out], np.int64))


@final
class Subset(Images):
    """Some rows of other images."""

    def __init__(self, images: Images, rows: npt.NDArray[np.int64]) -> None:
        self.images = images
        self.rows = rows
        self.shape = images.shape
        self.classes = images.classes
        self.names = images.names
        self.labels: Labels | None = None if images.labels is None else images.labels[rows]

    @property
    def count(self) -> int:
        return len(self.rows)

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        return self.images.read(self.rows[indices])


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
