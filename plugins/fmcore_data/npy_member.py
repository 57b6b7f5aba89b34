"""The arrays inside a `.npz` file: memory-mapped if stored, read if compressed.

`numpy.load(mmap_mode=...)` reads every member of an `.npz` whole, but the bytes of a stored member
can be mapped like a file.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import IO, Any, final

import numpy as np
import numpy.lib.format as npy

from fmcore import DataError
from fmcore_data.archives import check_expansion

__all__ = ["Member", "members"]

LOCAL_HEADER = struct.Struct("<4s5H3I2H")


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
        """Whether it is stored without compression."""
        return self.info.compress_type == zipfile.ZIP_STORED

    def array(self) -> np.ndarray[Any, Any]:
        """Return the values, read-only if mapped.  Raises DataError if they are damaged."""
        if self.mapped:
            return self._mapped_array()
        try:
            with zipfile.ZipFile(self.file) as archive, archive.open(self.info) as stream:
                stream.read(self.offset)
                content = stream.read()  # to the end, where zipfile compares the checksum
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"{self.file} is damaged: {error}; fetch it again") from error
        if len(content) != self.info.file_size - self.offset:
            raise DataError(f"{self.file} is damaged: '{self.info.filename}' ends early")
        return np.frombuffer(content, self.dtype).reshape(self.shape)

    def _mapped_array(self) -> np.ndarray[Any, Any]:
        if not math.prod(self.shape):  # nothing to map
            return np.empty(self.shape, self.dtype)
        try:
            start = _start(self.file, self.info) + self.offset
            mapped = np.memmap(self.file, self.dtype, mode="r", offset=start, shape=self.shape)
        except (OSError, ValueError, struct.error) as error:
            raise DataError(f"{self.file} is damaged: {error}; fetch it again") from error
        return np.asarray(mapped)


def members(file: FilePath) -> dict[str, Member]:
    """The arrays of `file` by name.  Raises DataError for a damaged file, two arrays of one name,
    arrays of objects and a member whose size is not its header's."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            found = {}
            for info in infos:
                name = info.filename.removesuffix(".npy")
                if name in found:
                    raise DataError(f"{file} has two arrays named '{name}': write it again")
                with archive.open(info) as stream:
                    found[name] = _member(file, info, stream)
            return found
    except DataError:
        raise
    except Exception as error:  # zipfile and numpy let many kinds through on a damaged header
        raise DataError(f"cannot read {file}: {error}; fetch it again") from error


def _member(file: FilePath, info: zipfile.ZipInfo, stream: IO[bytes]) -> Member:
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(stream)
    offset = stream.tell()
    if dtype.hasobject:
        raise DataError(
            f"{file}: '{info.filename}' contains Python objects, which could run any code: refused"
        )
    if dtype.kind not in "biuf":  # an empty text takes no bytes, so a file can claim any number
        raise DataError(f"{file}: '{info.filename}' contains {dtype}, not numbers")
    size = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size != info.file_size or fortran or min(shape, default=0) < 0:
        raise DataError(
            f"{file}: '{info.filename}' has {info.file_size} bytes, but its header promises {size}"
        )
    check_expansion(size, info.compress_size, f"{file}: '{info.filename}'")
    return Member(file, info, shape, dtype, offset)


def _start(file: FilePath, info: zipfile.ZipInfo) -> int:
    """The offset of a stored member's bytes: after its local header, whose extra field may differ
    from the directory's."""
    with file.open("rb") as stream:
        stream.seek(info.header_offset)
        header = LOCAL_HEADER.unpack(stream.read(LOCAL_HEADER.size))
    return info.header_offset + LOCAL_HEADER.size + int(header[-2]) + int(header[-1])
