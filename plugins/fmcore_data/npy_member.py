"""The arrays inside a `.npz` file, where they lie: mapped if stored, read if deflated.

`numpy.load(mmap_mode=...)` reads every member of an `.npz` whole; a stored member is as good as a
file of its own.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import IO, Any, final

import numpy as np
import numpy.lib.format as npy

from fmcore import DataError

__all__ = ["Member", "members"]

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
MOST_EXPANSION = 100
SMALL = 256 << 20
"""A member above this size that claims to expand more than MOST_EXPANSION times is a bomb: pictures
shrink by a half."""


@final
@dataclass(frozen=True)
class Member:
    """One array of an `.npz` file, known by its header."""

    file: FilePath
    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int  # of the values, from the start of the member

    @property
    def mapped(self) -> bool:
        """Whether it is stored as it is."""
        return self.info.compress_type == zipfile.ZIP_STORED

    def array(self) -> np.ndarray[Any, Any]:
        """Its values, read-only where they are mapped.  Raises DataError if they are damaged."""
        if self.mapped:
            start = _start(self.file, self.info) + self.offset
            mapped = np.memmap(self.file, self.dtype, mode="r", offset=start, shape=self.shape)
            return np.asarray(mapped)
        try:
            with zipfile.ZipFile(self.file) as archive, archive.open(self.info) as stream:
                stream.read(self.offset)
                content = stream.read()  # to the end, where the checksum is compared
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"{self.file} is damaged: {error}; fetch it again") from error
        return np.frombuffer(content, self.dtype).reshape(self.shape)


def members(file: FilePath) -> dict[str, Member]:
    """The arrays of `file` by name.  Raises DataError for a damaged file, for arrays of objects and
    for a member that claims to be far larger than it can be."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            found = {}
            for info in infos:
                with archive.open(info) as stream:
                    found[info.filename.removesuffix(".npy")] = _member(file, info, stream)
            return found
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"cannot read {file}: {error}; fetch it again") from error
    except NotImplementedError as error:  # a compression that Python does not have
        raise DataError(f"cannot read {file}: {error}") from error


def _member(file: FilePath, info: zipfile.ZipInfo, stream: IO[bytes]) -> Member:
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(stream)
    offset = stream.tell()
    if dtype.hasobject:
        raise DataError(
            f"{file}: '{info.filename}' holds Python objects, which could run anything: refused"
        )
    size = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size != info.file_size or fortran:
        raise DataError(
            f"{file}: '{info.filename}' has {info.file_size} bytes, but its header promises {size}"
        )
    if size > SMALL and size > MOST_EXPANSION * info.compress_size:
        raise DataError(
            f"{file}: '{info.filename}' claims to expand {size / max(1, info.compress_size):.0f} "
            "times: refused, as a file made to exhaust memory would"
        )
    return Member(file, info, shape, dtype, offset)


def _start(file: FilePath, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: behind its local header, whose last field may
    differ from the directory's."""
    with file.open("rb") as stream:
        stream.seek(info.header_offset)
        header = LOCAL_HEADER.unpack(stream.read(LOCAL_HEADER.size))
    return info.header_offset + LOCAL_HEADER.size + int(header[-2]) + int(header[-1])
