"""Images packed by `fmcore data pack`, read at memory speed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import final

from fmcore import DataError, MissingSplitError, Packed, unpacked
from fmcore_data.listing import is_regular, resolve_root
from fmcore_data.storage import Arrays, Images, StoredImages

__all__ = ["PackedImages"]

MANIFEST = "manifest.json"


@final
@dataclass(frozen=True)
class PackedImages(StoredImages):
    """The folder `root` that `fmcore data pack SRC root` wrote, from any format.

    A batch is one read of a memory map.  The first access compares the fingerprint of the images
    with the manifest's.
    """

    root: str

    @cached_property
    def _packed(self) -> Packed:
        root = resolve_root(self.root)
        for name in (MANIFEST, f"{self.split}.images.npy", f"{self.split}.labels.npy"):
            is_regular(root / name)  # which refuses a FIFO before it is opened
        try:
            return unpacked(root, self.split)
        except DataError as error:
            if self._other_split_alone(root):
                raise MissingSplitError(str(error)) from error
            raise

    def _other_split_alone(self, root: FilePath) -> bool:
        """Whether the manifest is valid and has only the other split."""
        try:
            splits = json.loads((root / MANIFEST).read_text("utf-8"))["splits"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return False
        return isinstance(splits, dict) and bool(splits) and self.split not in splits

    @property
    def levels(self) -> int:
        return self._packed.levels

    @property
    def fingerprint(self) -> str:
        return self._packed.fingerprint

    @property
    def description(self) -> str:
        return self._packed.description

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return (place / MANIFEST).is_file()

    def _open(self) -> Images:
        packed = self._packed
        return Arrays(packed.pixels, packed.labels, packed.classes)
