"""Which part of a set belongs to which split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import final

import numpy as np
import numpy.typing as npt

from fmcore import DataError, Split
from fmcore_data.storage import Images, Labels, Pixels

__all__ = ["Subset", "files_of", "folder", "held_out", "place", "rows_of"]

NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("val", "valid", "validation", "test"),
}
"""What a folder or file of each split is called, the best first: where a set has both, its
validation part is the one with labels."""


def folder(root: str) -> FilePath:
    """`root` as a path.  Raises DataError if nothing is there."""
    path = place(root)
    if not path.exists():
        raise DataError(f"no file or folder {path}; say where the data are: data.root=PATH")
    return path


def place(root: str) -> FilePath:
    """`root` as a path, `~` written out, whether or not anything is there.

    Raises DataError for what cannot be a path: a user that there is not, a name too long.
    """
    try:
        path = FilePath(root).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{root!r} cannot be a folder: {error}; say data.root=PATH") from error
    return path


def files_of(split: Split, files: Iterable[FilePath]) -> list[FilePath] | None:
    """Those of `files` that are named after `split`, in order of name: by their first word, as
    `train-0001.tar` is, or where none is by any, as `cifar10-train.arrow`; None if no file is named
    after any split.
    """
    words = {file: re.split(r"[^a-z]+", file.name.lower()) for file in sorted(files)}
    for reach in (1, None):
        by_word: dict[str, list[FilePath]] = {}
        for file, own in words.items():
            for word in dict.fromkeys(own[:reach]):
                by_word.setdefault(word, []).append(file)
        if any(word in by_word for names in NAMES.values() for word in names):
            return next((by_word[word] for word in NAMES[split] if word in by_word), [])
    return None


def rows_of(split: Split, count: int, kept_out: int, salt: str = "") -> npt.NDArray[np.int64]:
    """Which of `count` rows belong to `split`, `kept_out` of them to the test split, in order.

    The choice is by a hash of the row's number: fixed, whatever the version of a random generator.
    """
    order = sorted(range(count), key=lambda row: _hash(f"{salt}{row}"))
    return np.sort(np.array(order[kept_out:] if split == "train" else order[:kept_out], np.int64))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def held_out(images: Images, split: Split, kept_out: int, where: str) -> Images:
    """The part of a set without splits of its own.  Raises DataError for a split that is empty."""
    if kept_out == 0 and split == "train":
        return images
    if not 0 < kept_out < images.count:
        raise DataError(
            f"{where} has no test split, and data.held_out={kept_out} keeps none of its "
            f"{images.count} images for one: say how many with data.held_out=N"
        )
    return Subset(images, rows_of(split, images.count, kept_out))


@final
class Subset(Images):
    """Some rows of other images."""

    def __init__(self, images: Images, rows: npt.NDArray[np.int64]) -> None:
        self.images = images
        self.rows = rows
        self.shape = images.shape
        self.classes = images.classes
        self.labels: Labels | None = None if images.labels is None else images.labels[rows]

    @property
    def count(self) -> int:
        return len(self.rows)

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        return self.images.read(self.rows[indices])
