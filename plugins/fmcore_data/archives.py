"""What every reader of archives refuses.  Nothing is ever unpacked to the disk."""

from __future__ import annotations

from pathlib import Path as FilePath
from pathlib import PurePosixPath

from fmcore import DataError

__all__ = ["checked_expansion", "checked_name", "checked_size"]

LARGEST = 64 << 20
"""Bytes of one encoded image: a thousand times a photograph's of this use, and no bomb."""

MOST_EXPANSION = 100
SMALL = 256 << 20
"""What unpacks to more bytes than this, and to more than MOST_EXPANSION times what lies on the
disk, is a bomb: pictures shrink by a half."""


def checked_name(name: str, archive: FilePath) -> str:
    """`name` of a member of `archive`.  Raises DataError if it points outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise DataError(f"{archive} has a member named {name!r}, which points outside: refused")
    return name


def checked_size(size: int, name: str, archive: FilePath) -> int:
    """`size`, in bytes, of an encoded image.  Raises DataError if no image is so large."""
    if not 0 <= size <= LARGEST:
        raise DataError(
            f"{archive}: member {name!r} claims {size} bytes: refused, as a file made to exhaust "
            "memory would"
        )
    return size


def checked_expansion(size: int, packed: int, what: str) -> int:
    """`size`, the bytes that `packed` bytes unpack to.  Raises DataError if no pictures do that."""
    if size > SMALL and size > MOST_EXPANSION * packed:
        raise DataError(
            f"{what} claims to expand {size / max(1, packed):.0f} times, to {size >> 20} MiB: "
            "refused, as a file made to exhaust memory would"
        )
    return size
