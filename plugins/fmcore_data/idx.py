"""The IDX files of MNIST and the sets made after it (Fashion-MNIST, KMNIST, ...)."""

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

from fmcore import DataError
from fmcore_data.archives import checked_expansion
from fmcore_data.splits import place
from fmcore_data.storage import Arrays, Images, StoredImages

__all__ = ["IDX", "read_idx"]

UNSIGNED_BYTE = 0x08
DEFLATE_LIMIT = 1032  # no deflate stream expands further, so that a header cannot promise more
FASHION = "/usr/share/datasets/fashion-mnist"


@final
@dataclass(frozen=True)
class IDX(StoredImages):
    """Gray images of `root`: `train-` and `t10k-` `images-idx3-ubyte` and `labels-idx1-ubyte`, each
    as it is or as `.gz`.

    The default `root` is where Debian's package dataset-fashion-mnist puts Fashion-MNIST: 60,000 +
    10,000 images of 28x28 in ten classes.
    """

    root: str = FASHION

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return any(place.glob("*-images-idx3-ubyte*"))

    def _open(self) -> Images:
        prefix = "train" if self.split == "train" else "t10k"
        pixels = read_idx(self._file(f"{prefix}-images-idx3-ubyte"), dimensions=3)
        labels = read_idx(self._file(f"{prefix}-labels-idx1-ubyte"), dimensions=1)
        if len(pixels) != len(labels):
            raise DataError(
                f"{self.root}: {len(pixels)} images but {len(labels)} labels in '{prefix}'"
            )
        # Classes are those of the training labels: a small test file may lack one.
        known = read_idx(self._file("train-labels-idx1-ubyte"), dimensions=1)
        classes = int(max(known.max(initial=0), labels.max(initial=0))) + 1
        return Arrays(pixels[:, None], labels.astype(np.int64), classes)

    def _file(self, name: str) -> FilePath:
        folder = place(self.root)
        for file in (folder / f"{name}.gz", folder / name):
            if file.is_file():
                return file
        raise DataError(
            f"no file {name}[.gz] in {folder}: install Fashion-MNIST (apt-get install "
            "dataset-fashion-mnist), or say where the files are: data.root=FOLDER"
        )


def read_idx(file: FilePath, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes.  Raises DataError unless it is whole and has that
    many dimensions."""
    try:
        with _opened(file) as stream:
            shape = _shape(stream.read(4 + 4 * dimensions), file, dimensions)
            size = math.prod(shape)
            if size > DEFLATE_LIMIT * file.stat().st_size:
                raise DataError(f"{file} is truncated: its header promises {size} bytes")
            checked_expansion(size, file.stat().st_size, str(file))
            content = stream.read(size + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"cannot read {file}: {error}; fetch it again") from error
    if len(content) != size:
        state = "is truncated" if len(content) < size else "goes on after its data"
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
