"""Files and folders below the root of a dataset: hidden entries skipped, links followed once.

Only regular files are opened: reading a FIFO, a socket or a device would block or never end.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path as FilePath
from pathlib import PurePosixPath

from fmcore import DataError

__all__ = [
    "describe_contents",
    "find_root",
    "has_file",
    "is_hidden",
    "is_inside",
    "is_regular",
    "list_files",
    "list_folders",
    "resolve_root",
    "walk",
]

CLUTTER = frozenset(
    {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"}
)
"""Entries that macOS, Windows and Synology add to folders and archives."""

KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

LISTED_SUFFIXES = 4


def resolve_root(root: str | FilePath) -> FilePath:
    """`root` as an absolute path, `~` expanded; it need not exist.

    Raises DataError for an unknown user and for a name that the system refuses.
    """
    try:
        path = FilePath(os.path.abspath(FilePath(root).expanduser()))
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{str(root)!r} cannot be a folder: {error}; set data.root=PATH") from error
    return path


def find_root(root: str | FilePath) -> FilePath:
    """`root` as an absolute path.  Raises DataError unless it is a folder or a regular file."""
    path = resolve_root(root)
    if not (path.is_dir() or is_regular(path)):
        raise DataError(f"no file or folder {path}: set data.root=PATH")
    return path


def is_regular(file: FilePath | os.DirEntry[str]) -> bool:
    """Whether `file` is a regular file or a link to one; False if it does not exist or is a folder.

    Raises DataError for a FIFO, a socket, a device, a link to nothing and a loop of links.
    """
    try:
        if file.is_file():  # of a DirEntry: known from the listing, without a system call
            return True
        mode = os.stat(file).st_mode
    except OSError as error:
        if os.path.islink(file):
            raise DataError(
                f"{os.fspath(file)} is a link that leads nowhere ({error.strerror}): restore its "
                "target or remove it"
            ) from error
        return False
    kind = next((text for is_kind, text in KINDS if is_kind(mode)), None)
    if kind is not None:
        raise DataError(f"{os.fspath(file)} is {kind}, not a regular file: remove it")
    return False


def is_hidden(path: str) -> bool:
    """Whether a part of `path` begins with a dot or is one of CLUTTER, as in `__MACOSX/._a.png`."""
    return any(
        (part.startswith(".") and part != "..") or part.lower() in CLUTTER
        for part in PurePosixPath(path).parts
    )


def list_files(folder: FilePath, suffixes: Collection[str]) -> list[FilePath]:
    """The regular, visible files of `folder` with one of `suffixes`, sorted by name."""
    return [FilePath(e) for e in _entries(folder) if _suffix(e) in suffixes and is_regular(e)]


def list_folders(folder: FilePath) -> list[FilePath]:
    """The visible folders of `folder`, sorted by name; without links to a folder above it."""
    real = os.path.realpath(folder)
    return [
        FilePath(e)
        for e in _entries(folder)
        if _is_folder(e) and not (e.is_symlink() and is_inside(real, os.path.realpath(e)))
    ]


def walk(top: FilePath, suffixes: Collection[str], apart: FilePath | None = None) -> Iterator[str]:
    """The regular, visible files below `top` with one of `suffixes`, as paths from `top` with `/`.

    Links to files and folders are followed, each folder once.  A link to a folder that is read
    anyway or that contains the link is skipped, so that loops end.  Raises DataError where a folder
    is linked twice and where a link leads into `apart`, the folder of the other split.
    """
    real = os.path.realpath(top)
    other = None if apart is None else os.path.realpath(apart)
    seen = {_identity(top): os.fspath(top)}
    waiting = [(os.fspath(top), "", frozenset(seen))]
    while waiting:
        folder, prefix, above = waiting.pop()
        for entry in _entries(FilePath(folder)):
            if not _is_folder(entry):
                if _suffix(entry) in suffixes and is_regular(entry):
                    yield prefix + entry.name
                continue
            identity = _identity(entry)
            if identity in above or (entry.is_symlink() and _is_read_anyway(entry.path, real)):
                continue
            _check_new(entry, seen.get(identity), other)
            seen[identity] = entry.path
            waiting.append((entry.path, f"{prefix}{entry.name}/", above | {identity}))


def has_file(place: FilePath, suffixes: Collection[str], depth: int) -> bool:
    """Whether `place`, or a visible entry up to `depth` levels below it, is named as such a file.

    No file is opened and none is refused: a format is recognised by names alone.
    """
    if not place.is_dir():
        return place.suffix.lower() in suffixes and place.is_file()
    return any(
        file.suffix.lower() in suffixes
        and not is_hidden(str(file.relative_to(place)))
        and not file.is_dir()
        for level in range(1, depth + 1)
        for file in place.glob("/".join("*" * level))
    )


def describe_contents(folder: FilePath) -> str:
    """What `folder` contains, by suffix, for a message: `3 .gif files`."""
    suffixes = Counter(
        PurePosixPath(name).suffix.lower() or "unnamed"
        for _, _, names in os.walk(folder)
        for name in names
        if not is_hidden(name)
    )
    if not suffixes:
        return "no files"
    common = suffixes.most_common(LISTED_SUFFIXES)
    return ", ".join(
        f"{count} {suffix} file{'s' if count > 1 else ''}"
        if suffix != "unnamed"
        else f"{count} without a suffix"
        for suffix, count in common
    )


def _entries(folder: FilePath) -> list[os.DirEntry[str]]:
    """The visible entries of `folder`, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not is_hidden(e.name)), key=lambda e: e.name)
    except OSError as error:  # os.walk would skip the folder in silence
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error


def _suffix(entry: os.DirEntry[str]) -> str:
    return PurePosixPath(entry.name).suffix.lower()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, which `is_regular` reports
        return False


def _identity(folder: FilePath | os.DirEntry[str]) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _is_read_anyway(link: str, top: str) -> bool:
    """Whether the target of `link` contains `top`, or is below it and not hidden."""
    target = os.path.realpath(link)
    if is_inside(top, target):
        return True
    return is_inside(target, top) and not is_hidden(os.path.relpath(target, top))


def _check_new(entry: os.DirEntry[str], seen: str | None, other: str | None) -> None:
    """Raise DataError if the folder was read under another path, or is of the `other` split."""
    if seen is not None:
        raise DataError(
            f"{entry.path} and {seen} are one folder, through links: remove one of them, or its "
            "images are read twice"
        )
    if other is not None and entry.is_symlink():
        target = os.path.realpath(entry.path)
        if is_inside(target, other) or is_inside(other, target):
            raise DataError(
                f"{entry.path} is a link into {other}, the other split: remove it, or the splits "
                "share images"
            )


def is_inside(path: str, folder: str) -> bool:
    """Whether the real path `path` is the real path `folder` or below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
