"""Files of a run: atomic writing, locks between processes, and reading that executes nothing."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from fmcore.errors import REMEDIES, RunError

if TYPE_CHECKING:
    from typing import BinaryIO

    from torch import Tensor

__all__ = [
    "atomic",
    "json_object",
    "locked",
    "opened_for_adding",
    "remove_parts",
    "sha256_of",
    "sha256_of_tensors",
    "tensors_in",
    "writable",
    "write_json",
    "write_text",
]


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn the system's errors of writing `path` into a RunError with a remedy."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = _errno_of(error)
        # while writing, some other file may be read, and be missing
        elsewhere = number == errno.ENOENT and not _is_about(error, path)
        if number not in REMEDIES or elsewhere:
            raise
        raise RunError(f"{path}: cannot be written: {REMEDIES[number]}") from error


def _is_about(error: OSError | SafetensorError, path: Path) -> bool:
    """Return whether the error names `path`, a folder above it or a file in the same folder."""
    named = error.filename if isinstance(error, OSError) else None
    if not isinstance(named, str):
        return False
    return Path(named) in (path, *path.parents) or Path(named).parent == path.parent


def _errno_of(error: OSError | SafetensorError) -> int:
    """Return the system's error number, 0 if unknown."""
    if isinstance(error, OSError):
        return error.errno or 0
    # safetensors gives the number in the text of its error only
    number = re.search(r"\(os error (\d+)\)", str(error))
    return int(number[1]) if number else 0


def atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file in the same folder, sync it, and move it to `path`.

    A crash at any moment leaves the old file or the new one.  The file's mode follows the umask.
    Raises RunError on a full or read-only disk.
    """
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        # not tempfile.mkstemp, whose files are private to the user even if the umask is not
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            write(part)
            _sync(part)
            os.replace(part, path)
            _sync(path.parent)  # the new name is durable only once its folder is synced
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def remove_parts(root: Path, skip: str | None = None) -> None:
    """Remove the temporary files that killed processes left in `root` and the folders in it.

    Call it only while holding the lock of `root`: another process may be writing.  Folders below
    `root` that hold a file called `skip` have a lock of their own, and are left alone.
    """
    for folder, below, names in os.walk(root):  # os.walk follows no links
        below[:] = [b for b in below if skip is None or not Path(folder, b, skip).exists()]
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                Path(folder, name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    atomic(path, lambda part: _fill(part, text))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically.

    Raises ValueError for a number that is not finite, which JSON cannot hold.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, dtypes, shapes and values, in hexadecimal."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`.  Raises ValueError, with the reason, for anything else."""
    # a link to a device such as /dev/zero would never end: only regular files are read
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
    """Return the tensors of a safetensors file.

    Raises ValueError, with the reason, for anything else.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        return load_file(path)
    except Exception as error:  # a damaged header, or a dtype that torch does not have
        raise ValueError(f"not a safetensors file: {error}") from error


@contextmanager
def opened_for_adding(path: Path) -> Iterator[BinaryIO]:
    """Open `path`, created if needed, to append bytes.  Raises OSError if it is a link."""
    # no links: a shared folder could send what is appended to any file of the user
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "ab", buffering=0) as stream:
        yield stream


@contextmanager
def locked(file: Path, busy: str, wait: bool = False, remove: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `file`, created if needed, inside this context.

    Raises RunError with the text `busy` if another process holds it, unless `wait`.  `remove`
    deletes the file at the end.
    """
    while True:
        with ExitStack() as held:
            with writable(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                handle = held.enter_context(opened_for_adding(file))
            try:
                # flock, not the presence of a file: the system releases it even after kill -9
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise RunError(busy) from error
            if not _is_same(file, handle.fileno()):
                continue  # its last holder removed the file meanwhile: lock the new one
            try:
                yield
            finally:
                if remove:
                    file.unlink(missing_ok=True)
            return


def _is_same(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
