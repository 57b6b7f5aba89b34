"""Several files of images read as one set, with a bounded cache in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import final

import numpy as np
import numpy.typing as npt

from fmcore import DataError
from fmcore_data.storage import Images, Labels, Pixels

__all__ = ["Shard", "Shards"]

KEPT_BYTES = 4 << 30
"""Enough for all of ImageNet-32."""

READS_PER_SHARD = 4
"""Enough for a few passes in order (fingerprint, packing, a picture).  A shuffled epoch over shards
that do not fit in memory would read a shard again for nearly every image."""


class Shard(ABC):
    """One file of images, whose `count` is known before it is read."""

    count: int

    @abstractmethod
    def pixels(self) -> tuple[Pixels, bool]:
        """Return all images, `(count, *shape)`, and whether they occupy memory; False if they are a
        memory map."""


@final
class Shards(Images):
    """The images of `shards`, in order."""

    def __init__(
        self,
        shards: Sequence[Shard],
        shape: tuple[int, ...],
        labels: Labels | None,
        classes: int,
    ) -> None:
        self.shards = shards
        self.shape = shape
        self.labels = labels
        self.classes = classes
        self.ends = np.cumsum([shard.count for shard in shards])
        self._kept: OrderedDict[int, tuple[Pixels, bool]] = OrderedDict()
        self._reads = 0

    @property
    def count(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, indices: npt.NDArray[np.int64]) -> Pixels:
        pixels = np.empty((len(indices), *self.shape), np.uint8)
        owners = np.searchsorted(self.ends, indices, side="right")
        for owner in np.unique(owners):
            rows = np.flatnonzero(owners == owner)
            first = self.ends[owner] - self.shards[owner].count
            pixels[rows] = self._pixels(int(owner))[indices[rows] - first]
        return pixels

    def _pixels(self, owner: int) -> Pixels:
        if owner not in self._kept:
            self._make_room(owner)
            self._kept[owner] = self.shards[owner].pixels()
        self._kept.move_to_end(owner)
        return self._kept[owner][0]

    def _make_room(self, owner: int) -> None:
        self._reads += 1
        if self._reads > READS_PER_SHARD * len(self.shards):
            raise DataError(
                f"these {self.count} images are compressed and do not fit in memory, so reading "
                "them in random order would take days: pack them once (fmcore data pack --help) "
                "and train on the result"
            )
        coming = self.shards[owner].count * int(np.prod(self.shape))
        while self._held() + coming > KEPT_BYTES and any(held for _, held in self._kept.values()):
            self._kept.pop(next(k for k, (_, held) in self._kept.items() if held))

    def _held(self) -> int:
        return sum(pixels.nbytes for pixels, held in self._kept.values() if held)
