"""The IDX files of MNIST and of datasets like it (Fashion-MNIST, KMNIST, ...)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, final

import numpy as np
import numpy.typing as npt

from fmcore import DataError, MissingSplitError
from fmcore_data.archives import check_expansion
from fmcore_data.listing import is_hidden, is_regular, resolve_root
from fmcore_data.storage import Arrays, Images, StoredImages

__all__ = ["IDX", "read_idx"]

UNSIGNED_BYTE = 0x08
DEFLATE_LIMIT = 1032  # no deflate stream expands further, so that a header cannot promise more
FASHION = FilePath("/usr/share/datasets/fashion-mnist")
FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Source: Xiao et al. 2017, "Fashion-MNIST" (arXiv 1708.07747), table 2."""
FASHION_LABELS = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9, 5, 5, 7, 9)
"""The first training labels: the files of MNIST and of Fashion-MNIST have the same names."""
REMEDY = (
    "install Fashion-MNIST (apt-get install dataset-fashion-mnist), or set data.root=FOLDER to "
    "the folder of the files"
)


@final
@dataclass(frozen=True)
class IDX(StoredImages):
    """Gray images in `root`: `train-` and `t10k-` `images-idx3-ubyte` and `labels-idx1-ubyte`; of a
    file and its `.gz`, the `.gz` is read.

    The default `root` is where Debian's package dataset-fashion-mnist puts Fashion-MNIST: 60,000 +
    10,000 images of 28x28 in ten classes, which have names.
    """

    root: FilePath = FASHION

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        found = place.glob("*-images-idx3-ubyte*")
        return any(file.is_file() and not is_hidden(file.name) for file in found)

    def _open(self) -> Images:
        prefix = "train" if self.split == "train" else "t10k"
        pixels = read_idx(self._file(f"{prefix}-images-idx3-ubyte"), dimensions=3)
        labels = read_idx(self._file(f"{prefix}-labels-idx1-ubyte"), dimensions=1)
        if len(pixels) != len(labels):
            raise DataError(
                f"{resolve_root(self.root)}: {len(pixels)} images but {len(labels)} labels in "
                f"'{prefix}'; fetch them again"
            )
        # Classes are those of the train labels: a small test file may lack one.
        known = read_idx(self._file("train-labels-idx1-ubyte"), dimensions=1)
        classes = int(max(known.max(initial=0), labels.max(initial=0))) + 1
        names = FASHION_NAMES if tuple(known[: len(FASHION_LABELS)]) == FASHION_LABELS else ()
        return Arrays(pixels[:, None], labels.astype(np.int64), classes, names)

    def _file(self, name: str) -> FilePath:
        root = resolve_root(self.root)
        file = _find(root, name)
        if file is not None:
            return file
        message = f"no file {name}[.gz] in {root}: {REMEDY}"
        if name.startswith("t10k-images") and _find(root, name.replace("t10k", "train")):
            raise MissingSplitError(message)
        raise DataError(message)


def _find(root: FilePath, name: str) -> FilePath | None:
    return next((f for f in (root / f"{name}.gz", root / name) if is_regular(f)), None)


def read_idx(file: FilePath, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes.  Raises DataError if it is damaged or has another
    number of dimensions."""
    try:
        with _opened(file) as stream:
            shape = _shape(stream.read(4 + 4 * dimensions), file, dimensions)
            size = math.prod(shape)
            if size > DEFLATE_LIMIT * file.stat().st_size:
                raise DataError(f"{file} is truncated: its header promises {size} bytes")
            check_expansion(size, file.stat().st_size, str(file))
            content = stream.read(size + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"cannot read {file}: {error}; fetch it again") from error
    if len(content) != size:
        state = "is truncated" if len(content) < size else "continues after its data"
        raise DataError(
            f"{file} {state}: its header promises {size} bytes ({'x'.join(map(str, shape))}); "
            "fetch it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _opened(file: FilePath) -> Any:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _shape(header: bytes, file: FilePath, dimensions: int) -> tuple[int, ...]:
    magic = struct.pack(">HBB", 0, UNSIGNED_BYTE, dimensions)
    if header[:4] != magic:
        raise DataError(
            f"{file} is not an IDX file of unsigned bytes in {dimensions} dimensions: it begins "
            f"with {header[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{file} is truncated within its header; fetch it again")
    return struct.unpack(f">{dimensions}I", header[4:])
