"""Files that are either whole or not there: written aside, synced, then moved into place."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from fmcore.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from torch import Tensor

__all__ = [
    "atomic",
    "json_object",
    "opened_for_adding",
    "sha256_of",
    "tensors_in",
    "writable",
    "write_json",
    "write_text",
]

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space, then give the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space, then give the same command again",
    errno.EFBIG: "the file is larger than this system allows (see ulimit -f)",
    errno.EROFS: "the file system is read-only: choose another folder with --out",
    errno.ELOOP: "it is a link, and nothing is written through one: remove it",
    errno.EACCES: "no permission to write there: choose another folder with --out",
}


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into a RunError that says what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        remedy = _REMEDIES.get(_number_of(error))
        if remedy is None:
            raise
        raise RunError(f"{path}: cannot be written: {remedy}") from error


def _number_of(error: OSError | SafetensorError) -> int:
    """The system's number of an error; safetensors tells it in its text alone."""
    if isinstance(error, OSError):
        return error.errno or 0
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else 0


def atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file in the same folder, sync it, and move it to `path`.

    A crash at any moment leaves the old file or the new one.  Raises RunError on a full or
    read-only disk.
    """
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        try:
            write(Path(name))
            _sync(Path(name))
            os.chmod(name, 0o644)
            os.replace(name, path)
            _sync(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    atomic(path, lambda part: _fill(part, text))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; a number that is not finite is refused rather than written as
    invalid JSON.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.  Raises ValueError, saying why, for anything else.

    A link to a device, which would never end, is no file here.
    """
    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(value, dict):
        raise ValueError("should hold a JSON object")
    return value


def tensors_in(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.  Raises ValueError, saying why, for anything else."""
    from safetensors.torch import load_file

    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        return load_file(path)
    except Exception as error:  # of a damaged header, and of types that torch does not have
        raise ValueError(f"not a safetensors file: {error}") from error


@contextmanager
def opened_for_adding(path: Path) -> Iterator[BinaryIO]:
    """`path`, made if need be, to write at its end.  Raises OSError if it is a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "ab", buffering=0) as stream:
        yield stream
