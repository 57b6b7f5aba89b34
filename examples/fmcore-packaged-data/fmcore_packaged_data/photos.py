"""Patches of photographs: the statistics of natural images at any size.

fmcore data show photos root=FOLDER --plugin photos.py
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, final

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt

from fmcore import DataError, Register, generator_for, hookimpl
from fmcore_data.decoding import SUFFIXES, Decoder
from fmcore_data.held_out import select_rows
from fmcore_data.listing import resolve_root, walk
from fmcore_data.storage import Images, Labels, Pixels, StoredImages

__all__ = ["Photos"]

BACKGROUNDS = "/usr/share/backgrounds/mate/nature"


@final
@dataclass(frozen=True)
class Photos(StoredImages):
    """`count` square patches of `image_size` pixels from the photographs in `root` and its folders.

    The patches are a function of (seed, split). Each photograph is first averaged down to a square
    of `size` pixels. One photograph in five (at least one) is held out, so that the splits share
    none. The default `root` is the folder of Debian's package mate-backgrounds.
    """

    root: str = BACKGROUNDS
    image_size: Annotated[int, Gt(0)] = 32
    count: Annotated[int, Gt(0)] = 20_000
    size: Annotated[int, Gt(0)] = 512
    seed: Annotated[int, Ge(0)] = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.image_size, self.image_size)

    def _open(self) -> Images:
        root = resolve_root(self.root)
        paths = sorted(root / path for path in walk(root, SUFFIXES)) if root.is_dir() else []
        if len(paths) < 2:
            raise DataError(
                f"{root} contains {len(paths)} photographs, two are needed: apt-get install "
                "mate-backgrounds, or set data.root=FOLDER"
            )
        if self.image_size > self.size:
            raise DataError(
                f"data.image_size={self.image_size} is larger than data.size={self.size}"
            )
        own = select_rows(self.split, len(paths), max(1, len(paths) // 5))
        generator = generator_for(self.seed, f"photos/{self.split}")
        choices = np.array([len(own), *[self.size - self.image_size + 1] * 2])
        draws = torch.rand(self.count, 3, generator=generator, dtype=torch.float64).numpy()
        places = (draws * choices).astype(np.int64)
        return _Patches([paths[row] for row in own], places, self.image_size, self.size)


@final
class _Patches(Images):
    """Patches; `places[i]` is the photograph, the row and the column of patch i."""

    labels: Labels | None = None
    classes = 0

    def __init__(
        self, paths: list[FilePath], places: npt.NDArray[np.int64], image_size: int, size: int
    ) -> None:
        self.paths = paths
        self.places = places
        self.image_size = image_size
        self.size = size
        self.shape = (3, image_size, image_size)

    @property
    def count(self) -> int:
        return len(self.places)

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        photo, top, left = self.places[indices].T
        across = np.arange(self.image_size)
        rows, columns = top[:, None] + across, left[:, None] + across
        patches = self._photographs[photo[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return np.ascontiguousarray(np.moveaxis(patches, -1, 1))

    @cached_property
    def _photographs(self) -> Pixels:
        decode = Decoder(self.size)
        return np.stack([decode(path.read_bytes(), str(path)) for path in self.paths])


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the dataset where this file is loaded with `--plugin`."""
    register("photos", Photos, summary="patches of photographs")
