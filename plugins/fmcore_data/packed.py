"""Images packed by `fmcore data pack`, read at memory speed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, final

import torch
from torch import Tensor

from fmcore import Codec, FmcoreWarning, ImageDataset, Split
from fmcore_data.listing import is_regular, resolve_root
from fmcore_data.packing import MANIFEST, Packed, Progress, pack, unpacked
from fmcore_data.storage import Arrays, Images, StoredImages

__all__ = ["PackedImages"]


@final
@dataclass(frozen=True)
class PackedImages(StoredImages):
    """The folder `root` that `fmcore data pack SRC root` wrote, from any format.

    A batch is one read of a memory map.  Latents that were packed with the images
    (`fmcore data pack --codec`) are used by runs with the same codec and without `flip`.  The first
    access compares the fingerprint of the images with the manifest's.
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
        codec: Codec | None = None,
    ) -> dict[str, Any]:
        """Write `splits` of `data` to the new folder `out` and return its manifest (see `pack`)."""
        return pack(data, out, splits, source, progress, codec)

    def latents(self, codec: Codec, indices: Sequence[int]) -> Tensor | None:
        """Return the stored latents; None without them, for another codec, and with `flip`."""
        stored = self._packed.latents
        if stored is None or self.flip:
            return None
        if not self._is_of(codec):
            return None
        return torch.from_numpy(stored[list(indices)])

    def _is_of(self, codec: Codec) -> bool:
        """Whether the stored latents are by `codec`; if not, warn, once."""
        if codec not in self._compared:
            same = self._packed.codec == codec.fingerprint
            if not same:
                warnings.warn(
                    f"the latents in {self.root} are of another codec: the images are encoded in "
                    "each batch; pack them again with fmcore data pack --codec",
                    FmcoreWarning,
                    stacklevel=2,
                )
            self._compared[codec] = same
        return self._compared[codec]

    @cached_property
    def _compared(self) -> dict[Codec, bool]:
        return {}

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return (place / MANIFEST).is_file()

    def _open(self) -> Images:
        packed = self._packed
        return Arrays(packed.pixels, packed.labels, packed.classes, packed.names)
