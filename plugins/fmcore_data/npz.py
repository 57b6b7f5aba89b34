"""The official downsampled ImageNet of image-net.org, as `.npz` files or as pickles.

Source: Chrabaszcz, Loshchilov & Hutter 2017, arXiv 1707.08819.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, final

import numpy as np
from annotated_types import Gt

from fmcore import DataError
from fmcore_data.labels import class_numbers
from fmcore_data.npy_member import members
from fmcore_data.pickles import read_pickle
from fmcore_data.shards import Shard, Shards
from fmcore_data.splits import folder
from fmcore_data.storage import Images, Labels, Pixels, StoredImages

__all__ = ["Npz"]

CLASSES = 1000


@final
@dataclass(frozen=True)
class Npz(StoredImages):
    """`train_data_batch_1` ... and `val_data` in `root` or a folder of it, `.npz` or pickled.

    Labels are in the order of the CLS-LOC development kit, not of sorted WordNet names as in a
    folder of classes.  Stored arrays are read where they lie; deflated ones and pickles go through
    memory, so pack a large set first.
    """

    root: str
    image_size: Annotated[int, Gt(0)] = 64

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        found = [*place.glob("*"), *place.glob("*/*")] if place.is_dir() else []
        return any(re.match(r"(train_data_batch_\d+|val_data)(\.|$)", file.name) for file in found)

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.image_size, self.image_size)

    @property
    def classes(self) -> int:
        return CLASSES

    def _open(self) -> Images:
        batches = [_batch(file, self.image_size) for file in self._files()]
        labels = np.concatenate([batch.labels for batch in batches])
        return Shards(batches, (3, self.image_size, self.image_size), labels, CLASSES)

    def _files(self) -> list[FilePath]:
        root = folder(self.root)
        pattern = r"train_data_batch_(\d+)" if self.split == "train" else r"val_data()"
        found: dict[int, FilePath] = {}
        for file in sorted([*root.glob("*"), *root.glob("*/*")]):
            match = re.fullmatch(pattern + r"(\.npz|\.pkl|\.pickle)?", file.name)
            if match is not None and file.is_file():
                number = int(match[1] or 1)
                if number in found:
                    raise DataError(f"both {found[number]} and {file} are batch {number}")
                found[number] = file
        name = "train_data_batch_1" if self.split == "train" else "val_data"
        if not found:
            raise DataError(
                f"no file {name}[.npz] in {root} or a folder of it: fetch ImageNet "
                f"{self.image_size}x{self.image_size} from https://image-net.org/download-images "
                "(needs an account), and say where it is: data.root=FOLDER"
            )
        if missing := sorted(set(range(1, max(found) + 1)) - set(found)):
            raise DataError(f"{root} lacks train_data_batch_{missing[0]}, but has later ones")
        return [found[number] for number in sorted(found)]


class _Batch(Shard, ABC):
    """A file of rows, each the red plane, then the green, then the blue one."""

    def __init__(self, file: FilePath, size: int, shape: tuple[int, ...], labels: Any) -> None:
        if len(shape) != 2 or shape[1] != 3 * size * size:
            raise DataError(
                f"{file} holds an array of shape {shape}, not rows of 3x{size}x{size}: "
                "is data.image_size right?"
            )
        self.file = file
        self.size = size
        self.count = shape[0]
        self.labels = _labels(file, labels, self.count)

    def pixels(self) -> tuple[Pixels, bool]:
        rows, held = self.rows()
        if rows.dtype != np.uint8:
            raise DataError(f"{self.file} holds {rows.dtype} values, not bytes")
        return rows.reshape(self.count, 3, self.size, self.size), held

    @abstractmethod
    def rows(self) -> tuple[np.ndarray[Any, Any], bool]:
        """The array `data`, and whether it takes up memory."""


@final
class _NpzBatch(_Batch):
    def __init__(self, file: FilePath, size: int) -> None:
        found = members(file)
        if missing := {"data", "labels"} - set(found):
            raise DataError(f"{file} has no array '{sorted(missing)[0]}'")
        self.member = found["data"]
        super().__init__(file, size, self.member.shape, found["labels"].array())

    def rows(self) -> tuple[np.ndarray[Any, Any], bool]:
        return self.member.array(), not self.member.mapped


@final
class _PickledBatch(_Batch):
    def __init__(self, file: FilePath, size: int) -> None:
        found = _pickled(file)
        super().__init__(file, size, found["data"].shape, found["labels"])

    def rows(self) -> tuple[np.ndarray[Any, Any], bool]:
        return _pickled(self.file)["data"], True


def _batch(file: FilePath, size: int) -> _Batch:
    return _NpzBatch(file, size) if file.suffix == ".npz" else _PickledBatch(file, size)


def _pickled(file: FilePath) -> dict[str, Any]:
    found = read_pickle(file)
    if missing := {"data", "labels"} - set(found):
        raise DataError(f"{file} has no entry '{sorted(missing)[0]}'")
    if not isinstance(found["data"], np.ndarray):
        raise DataError(f"{file}: 'data' is a {type(found['data']).__name__}, not an array")
    return found


def _labels(file: FilePath, labels: Any, count: int) -> Labels:
    """Labels 1 .. 1000, as they are written, from 0."""
    found = class_numbers(labels, str(file)) - 1
    if found.shape != (count,):
        raise DataError(f"{file} has {count} images, but labels of shape {found.shape}")
    if count and not 0 <= found.min() <= found.max() < CLASSES:
        raise DataError(f"{file} has labels outside 1 .. {CLASSES}")
    return found
