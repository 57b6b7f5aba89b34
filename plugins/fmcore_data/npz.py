"""The official downsampled ImageNet of image-net.org, and the `.npz` samples of guided-diffusion.

Sources: Chrabaszcz, Loshchilov & Hutter 2017, arXiv 1707.08819; github.com/openai/guided-diffusion.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, final

import numpy as np
from annotated_types import Gt

from fmcore import DataError, MissingSplitError
from fmcore_data.labels import check_labels
from fmcore_data.listing import find_root, is_hidden, is_regular
from fmcore_data.npy_member import members
from fmcore_data.pickles import read_pickle
from fmcore_data.shards import Shard, Shards
from fmcore_data.storage import Arrays, Images, Labels, Pixels, StoredImages

__all__ = ["Npz"]

CLASSES = 1000
OFFICIAL = re.compile(r"(train_data_batch_(?P<number>\d+)|val_data)(\.npz|\.pkl|\.pickle)?")


@final
@dataclass(frozen=True)
class Npz(StoredImages):
    """`train_data_batch_1` ... and `val_data`, `.npz` or pickled, in `root` or a folder of it; or a
    file of guided-diffusion, with `arr_0` uint8 `(count, height, width, channels)` and, optional,
    labels in `arr_1`.

    Official labels are in the order of the CLS-LOC development kit, not of sorted WordNet names as
    in a folder of classes.  `image_size`, by default that of the files, is checked.  Stored arrays
    are memory-mapped; compressed ones and pickles are read whole, so pack a large dataset first.
    """

    root: FilePath
    image_size: Annotated[int, Gt(0)] | None = None

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        if not place.is_dir():
            return place.suffix == ".npz" and place.is_file()
        return any(OFFICIAL.fullmatch(file.name) for file in _near(place))

    @property
    def shape(self) -> tuple[int, ...]:
        size = self.image_size
        if size is None or self._is_one_file:
            return super().shape
        return (3, size, size)

    @property
    def classes(self) -> int:
        return super().classes if self._is_one_file else CLASSES

    @property
    def _is_one_file(self) -> bool:
        # By name, since the shape of the official images is known without files.
        return FilePath(self.root).suffix == ".npz"

    def _open(self) -> Images:
        root = find_root(self.root)
        if not root.is_dir():
            return self._samples(root)
        batches = [_batch(file, self.image_size) for file in self._files(root)]
        sizes = {batch.size: batch.file for batch in batches}
        if len(sizes) > 1:
            raise DataError(f"images of several sizes: {', '.join(map(str, sizes.values()))}")
        labels = np.concatenate([batch.labels for batch in batches])
        return Shards(batches, (3, *[batches[0].size] * 2), labels, CLASSES)

    def _samples(self, file: FilePath) -> Images:
        if self.split != "train":
            raise MissingSplitError(f"{file} is one set of images: it has no test split")
        images = _samples(file)
        size = self.image_size
        if size is not None and images.shape[1:] != (size, size):
            raise DataError(f"{file} has images of {images.shape}: is data.image_size right?")
        return images

    def _files(self, root: FilePath) -> list[FilePath]:
        found: dict[str, dict[int, FilePath]] = {"train": {}, "test": {}}
        for file in _near(root):
            match = OFFICIAL.fullmatch(file.name)
            if match is None or not is_regular(file):
                continue
            own = found["test" if match["number"] is None else "train"]
            number = int(match["number"] or 1)
            if number in own:
                raise DataError(f"both {own[number]} and {file} are batch {number}: remove one")
            own[number] = file
        return self._ordered(found[self.split], root, bool(found["train"]))

    def _ordered(self, own: dict[int, FilePath], root: FilePath, has_train: bool) -> list[FilePath]:
        name = "train_data_batch_1" if self.split == "train" else "val_data"
        if not own:
            size = self.image_size or 64
            raise (MissingSplitError if has_train else DataError)(
                f"no file {name}[.npz] in {root} or a folder of it: fetch ImageNet {size}x{size} "
                "from https://image-net.org/download-images (needs an account), and set "
                "data.root=FOLDER"
            )
        if missing := sorted(set(range(1, max(own) + 1)) - set(own)):
            raise DataError(
                f"{root} lacks train_data_batch_{missing[0]}, but has later ones: fetch it"
            )
        return [own[number] for number in sorted(own)]


def _near(root: FilePath) -> list[FilePath]:
    """The visible entries of `root` and of its folders, sorted."""
    found = [*root.glob("*"), *root.glob("*/*")]
    return sorted(file for file in found if not is_hidden(str(file.relative_to(root))))


def _samples(file: FilePath) -> Arrays:
    """The samples that guided-diffusion's `image_sample.py` writes."""
    found = members(file)
    if "arr_0" not in found:
        raise DataError(
            f"{file} has no array 'arr_0', as guided-diffusion's samples have; for the official "
            f"ImageNet set data.root={file.parent}"
        )
    member = found["arr_0"]
    if member.dtype != np.uint8 or len(member.shape) != 4 or member.shape[-1] not in (1, 3):
        raise DataError(
            f"{file}: 'arr_0' is {member.dtype} {member.shape}, not uint8 (count, height, width, "
            "channels) of 1 or 3 channels"
        )
    labels = None
    if "arr_1" in found:
        labels = check_labels(found["arr_1"].array(), f"{file}: 'arr_1'")
        if len(labels) != member.shape[0]:
            raise DataError(f"{file} has {member.shape[0]} images, but {len(labels)} labels")
    classes = 0 if labels is None else int(labels.max(initial=-1)) + 1
    return Arrays(np.moveaxis(member.array(), -1, 1), labels, classes)


class _Batch(Shard, ABC):
    """A file of rows, each the red plane, then the green, then the blue one."""

    def __init__(
        self, file: FilePath, size: int | None, shape: tuple[int, ...], labels: Any
    ) -> None:
        if size is None and len(shape) == 2:
            size = math.isqrt(shape[1] // 3)
        if len(shape) != 2 or size is None or shape[1] != 3 * size * size:
            raise DataError(
                f"{file} has an array of shape {shape}, not rows of 3x{size}x{size}: "
                "is data.image_size right?"
            )
        self.file = file
        self.size = size
        self.count = shape[0]
        self.labels = _labels(file, labels, self.count)

    def pixels(self) -> tuple[Pixels, bool]:
        rows, held = self.rows()
        if rows.dtype != np.uint8:
            raise DataError(f"{self.file} has {rows.dtype} values, not bytes")
        return rows.reshape(self.count, 3, self.size, self.size), held

    @abstractmethod
    def rows(self) -> tuple[np.ndarray[Any, Any], bool]:
        """The array `data`, and whether it occupies memory."""


@final
class _NpzBatch(_Batch):
    def __init__(self, file: FilePath, size: int | None) -> None:
        found = members(file)
        if missing := {"data", "labels"} - set(found):
            raise DataError(f"{file} has no array '{sorted(missing)[0]}'")
        self.member = found["data"]
        super().__init__(file, size, self.member.shape, found["labels"].array())

    def rows(self) -> tuple[np.ndarray[Any, Any], bool]:
        return self.member.array(), not self.member.mapped


@final
class _PickledBatch(_Batch):
    def __init__(self, file: FilePath, size: int | None) -> None:
        found = _pickled(file)
        super().__init__(file, size, found["data"].shape, found["labels"])

    def rows(self) -> tuple[np.ndarray[Any, Any], bool]:
        return _pickled(self.file)["data"], True


def _batch(file: FilePath, size: int | None) -> _Batch:
    return _NpzBatch(file, size) if file.suffix == ".npz" else _PickledBatch(file, size)


def _pickled(file: FilePath) -> dict[str, Any]:
    found = read_pickle(file)
    if missing := {"data", "labels"} - set(found):
        raise DataError(f"{file} has no entry '{sorted(missing)[0]}'")
    if not isinstance(found["data"], np.ndarray):
        raise DataError(f"{file}: 'data' is a {type(found['data']).__name__}, not an array")
    return found


def _labels(file: FilePath, labels: Any, count: int) -> Labels:
    """The labels from 0, of those in the file, 1 .. 1000."""
    found = check_labels(labels, str(file)) - 1
    if found.shape != (count,):
        raise DataError(f"{file} has {count} images, but labels of shape {found.shape}")
    if count and not 0 <= found.min() <= found.max() < CLASSES:
        raise DataError(f"{file} has labels outside 1 .. {CLASSES}")
    return found
