"""Checks of every archive reader.  No member is ever written to the disk."""

from __future__ import annotations

from pathlib import Path as FilePath
from pathlib import PurePosixPath

from fmcore import DataError

__all__ = ["check_expansion", "check_name", "check_size"]

MAX_IMAGE_BYTES = 64 << 20
"""Of one encoded image: a thousand times a photograph of these datasets."""

MAX_EXPANSION = 100
SMALL = 256 << 20
"""Contents above SMALL bytes and above MAX_EXPANSION times the size on the disk are refused: images
compress to about half."""


def check_name(name: str, archive: FilePath) -> str:
    """Return `name`, of a member of `archive`.

    Raises DataError if it is empty or points outside.
    """
    if not name:
        raise DataError(f"{archive} has a member without a name: write it again")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise DataError(f"{archive} has a member named {name!r}, which points outside: refused")
    return name


def check_size(size: int, name: str, archive: FilePath) -> int:
    """Return `size`, the bytes of an encoded image.  Raises DataError if no image is so large."""
    if not 0 <= size <= MAX_IMAGE_BYTES:
        raise DataError(
            f"{archive}: member {name!r} claims {size} bytes: refused, as a file made to exhaust "
            "memory would"
        )
    return size


def check_expansion(size: int, packed: int, what: str) -> int:
    """Return `size`, the decompressed bytes of `packed`.  Raises DataError for a bomb."""
    if size > SMALL and size > MAX_EXPANSION * packed:
        raise DataError(
            f"{what} claims to expand {size / max(1, packed):.0f} times, to {size >> 20} MiB: "
            "refused, as a file made to exhaust memory would"
        )
    return size
