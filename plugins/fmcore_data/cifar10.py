"""CIFAR-10, binary or Python version.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import final

import numpy as np

from fmcore import DataError, MissingSplitError
from fmcore_data.labels import check_labels
from fmcore_data.listing import find_root, is_regular
from fmcore_data.pickles import read_pickle
from fmcore_data.storage import Arrays, Images, Labels, Pixels, StoredImages

__all__ = ["CIFAR10"]

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
NAMES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
REMEDY = (
    "fetch cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it, and "
    "set data.root=FOLDER"
)


@final
@dataclass(frozen=True)
class CIFAR10(StoredImages):
    """50,000 + 10,000 images of 3x32x32 in ten classes: `data_batch_1` to `_5` and `test_batch`, as
    `.bin` or pickled, in `root` or in the folder of the archive there.

    Of two versions the first is read: files in `root`, then cifar-10-batches-bin, then -py; `.bin`
    before pickles.
    """

    root: FilePath

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        names = ("test_batch.bin", "test_batch")
        return any((place / inside / name).is_file() for inside in FOLDERS for name in names)

    @property
    def shape(self) -> tuple[int, ...]:
        return SHAPE

    @property
    def classes(self) -> int:
        return len(CLASSES)

    @property
    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    def _open(self) -> Images:
        root = find_root(self.root)
        parts = [_read(_file(root, name)) for name in NAMES[self.split]]
        pixels = np.concatenate([pixels for pixels, _ in parts])
        return Arrays(pixels, np.concatenate([labels for _, labels in parts]), classes=10)


def _file(root: FilePath, name: str) -> FilePath:
    """The file `name` in `root`.  Raises MissingSplitError if a whole split is not there."""
    file = _find(root, name)
    if file is not None:
        return file
    message = f"no file {name}[.bin] in {root}: {REMEDY}"
    if name in NAMES["test"] and _find(root, NAMES["train"][0]) is not None:
        raise MissingSplitError(message)
    raise DataError(message)


def _find(root: FilePath, name: str) -> FilePath | None:
    files = (f for inside in FOLDERS for f in (root / inside / f"{name}.bin", root / inside / name))
    return next((file for file in files if is_regular(file)), None)


def _read(file: FilePath) -> tuple[Pixels, Labels]:
    pixels, labels = _binary(file) if file.suffix == ".bin" else _pickled(file)
    if len(labels) != len(pixels) or (len(labels) and not 0 <= labels.min() <= labels.max() < 10):
        raise DataError(
            f"{file} has labels that are not one of ten classes an image: fetch it again"
        )
    return pixels.reshape(-1, *SHAPE), labels


def _binary(file: FilePath) -> tuple[Pixels, Labels]:
    content = np.fromfile(file, np.uint8)
    if not len(content) or len(content) % RECORD:
        raise DataError(
            f"{file} is truncated: its {len(content)} bytes are not records of {RECORD}; fetch it "
            "again"
        )
    records = content.reshape(-1, RECORD)
    return records[:, 1:], records[:, 0].astype(np.int64)


def _pickled(file: FilePath) -> tuple[Pixels, Labels]:
    found = read_pickle(file)
    pixels, labels = found.get("data"), found.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or labels is None:
        raise DataError(f"{file} is not a batch of CIFAR-10: it lacks bytes 'data' or 'labels'")
    if pixels.ndim != 2 or pixels.shape[1] != RECORD - 1:
        raise DataError(f"{file} contains an array of shape {pixels.shape}, not rows of 3x32x32")
    return pixels, check_labels(labels, str(file))
