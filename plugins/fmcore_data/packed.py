"""Images packed by `fmcore data pack`, read at memory speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, final

from fmcore import ImageDataset, Split
from fmcore_data.listing import is_regular, resolve_root
from fmcore_data.packing import MANIFEST, Packed, Progress, pack, unpacked
from fmcore_data.storage import Arrays, Images, StoredImages

__all__ = ["PackedImages"]


@final
@dataclass(frozen=True)
class PackedImages(StoredImages):
    """The folder `root` that `fmcore data pack SRC root` wrote, from any format.

    A batch is one read of a memory map.  The first access compares the fingerprint of the images
    with the manifest's.
    """

    root: FilePath

    @cached_property
    def _packed(self) -> Packed:
        root = resolve_root(self.root)
        for name in (MANIFEST, f"{self.split}.images.npy", f"{self.split}.labels.npy"):
            is_regular(root / name)  # which refuses a FIFO before it is opened
        return unpacked(root, self.split)

    @property
    def levels(self) -> int:
        return self._packed.levels

    @property
    def fingerprint(self) -> str:
        return self._packed.fingerprint

    @property
    def description(self) -> str:
        return self._packed.description

    @staticmethod
    def write(
        data: ImageDataset,
        out: FilePath,
        splits: Sequence[Split],
        source: dict[str, Any],
        progress: Progress,
    ) -> dict[str, Any]:
        """Write `splits` of `data` to the new folder `out` and return its manifest (see `pack`)."""
        return pack(data, out, splits, source, progress)

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return (place / MANIFEST).is_file()

    def _open(self) -> Images:
        packed = self._packed
        return Arrays(packed.pixels, packed.labels, packed.classes)
