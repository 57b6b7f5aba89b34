"""Which files and folders belong to which split, by their names or by the option `splits`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Literal, final

from fmcore import DataError, Split
from fmcore_data.listing import is_inside, list_folders
from fmcore_data.split_names import ambiguity, find_pair, group_by_part, has_split_word, quote

__all__ = ["Parts", "Splits", "check_nested", "check_splits", "split_files", "split_folders"]

Splits = Literal["none"] | dict[str, str]
"""The option of a dataset that looks for splits: `none` reads one set, a mapping of `train` and
`test` to the name of a folder or the beginning of file names reads those; without it the rule of
`fmcore_data.split_names` applies."""


@final
@dataclass(frozen=True)
class Parts:
    """The files or folders of each split; None for a split that the set does not have.

    A set without splits is the train split.
    """

    train: list[FilePath] | None
    test: list[FilePath] | None = None

    def of(self, split: Split) -> list[FilePath] | None:
        """The files or folders of `split`."""
        return self.train if split == "train" else self.test


def check_splits(splits: Splits | None) -> None:
    """Raise DataError unless `splits` is a value of the option, or None."""
    if splits is None or splits == "none":
        return
    known = isinstance(splits, dict) and bool(splits) and set(splits) <= {"train", "test"}
    if not known or not all(isinstance(v, str) and v.strip("/") for v in dict(splits).values()):
        raise DataError(
            f"data.splits={splits!r}: expected none, or a mapping of train and test to names, as "
            "in {train: train2017, test: val2017}"
        )


def split_folders(
    root: FilePath, folders: list[FilePath], loose: bool, splits: Splits | None
) -> Parts:
    """The parts of a root whose subfolders `folders` contain images; `loose` if others are in it.

    Raises DataError if names are ambiguous, and if two splits share a folder.
    """
    if isinstance(splits, dict):
        parts = _chosen(root, splits, lambda name: [root / name])
    else:
        names = None if splits == "none" else group_by_part([f.name for f in folders], root)
        if names is None:
            return Parts([root])
        if loose:
            raise ambiguity(
                root, f"it has images next to the folders {quote(f.name for f in folders)}"
            )
        parts = _parts({part: [root / n for n in own] for part, own in names.items()})
        for own in (parts.train, parts.test):
            if own is not None and len(own) > 1:
                raise ambiguity(root, f"{quote(f.name for f in own)} name one split")
    _check_apart(parts)
    return parts


def split_files(
    root: FilePath, list_files: Callable[[FilePath], list[FilePath]], splits: Splits | None
) -> Parts | None:
    """The parts of a root of shards, in it or in its subfolders; `list_files` lists a folder's.

    A root that is a file is one set.  None if only subfolders that name no split have shards.
    Raises DataError if names are ambiguous.
    """
    if root.is_file():
        if isinstance(splits, dict):
            raise DataError(f"{root} is one file: data.splits needs a folder, or leave it out")
        return Parts([root])
    if isinstance(splits, dict):
        return _chosen(root, splits, lambda name: _beginning_with(root / name, list_files))
    own = list_files(root)
    inside = {folder: found for folder in list_folders(root) if (found := list_files(folder))}
    if splits == "none":
        return Parts([*own, *(file for found in inside.values() for file in found)])
    if own and inside:
        raise ambiguity(root, f"it has files next to the folders {quote(f.name for f in inside)}")
    if own:
        names = group_by_part([file.stem for file in own], root)
        if names is None:
            return Parts(own)
        return _parts({p: [f for f in own if f.stem in stems] for p, stems in names.items()})
    names = group_by_part([folder.name for folder in inside], root)
    if names is None:
        return None
    return _parts(
        {p: [f for name in folders for f in inside[root / name]] for p, folders in names.items()}
    )


def check_nested(paths: Sequence[str], where: FilePath, splits: Splits | None) -> None:
    """Raise DataError if `paths`, which are read as one split, belong to several by their names.

    `paths` are relative to the folder or archive `where`, with `/`.  Without this, a root one level
    too high, or an archive of both splits, would mix test images into the train split.
    """
    if splits is not None:
        return
    for parent, names in _children({path.rpartition("/")[0] for path in paths}).items():
        if found := find_pair(names):
            reason = f"'{parent or '.'}' in it has the folders {quote(found)}"
            raise ambiguity(where, reason, where / parent if parent else None)
    flat = all("/" not in path and has_split_word(_stem(path)) for path in paths)
    if flat and (found := find_pair(_stem(path) for path in paths)):
        raise ambiguity(where, f"the names of its images, as {quote(found)}, name splits")


def _parts(found: dict[str, list[FilePath]]) -> Parts:
    return Parts(found.get("train"), found.get("validation", found.get("test")))


def _chosen(root: FilePath, splits: dict[str, str], find: Callable[[str], list[FilePath]]) -> Parts:
    """The parts that the option names.  Raises DataError for one that is not there."""
    parts: dict[str, list[FilePath]] = {}
    for split, name in splits.items():
        parts[split] = find(name.strip("/"))
        if not parts[split] or not all(place.exists() for place in parts[split]):
            raise DataError(f"{root} has no '{name}', which data.splits.{split} names")
    if shared := set(parts.get("train", ())) & set(parts.get("test", ())):
        raise DataError(f"data.splits: {min(shared)} is in both splits")
    return Parts(parts.get("train"), parts.get("test"))


def _beginning_with(
    path: FilePath, list_files: Callable[[FilePath], list[FilePath]]
) -> list[FilePath]:
    """The files of the folder `path`, or else those whose paths begin with `path`."""
    if path.is_dir():
        return list_files(path)
    files = list_files(path.parent) if path.parent.is_dir() else []
    return [file for file in files if file.name.startswith(path.name)]


def _check_apart(parts: Parts) -> None:
    """Raise DataError if the folder of one split is, through links, inside the other."""
    if parts.train is None or parts.test is None:
        return
    train, test = (os.path.realpath(own[0]) for own in (parts.train, parts.test))
    if is_inside(train, test) or is_inside(test, train):
        raise DataError(
            f"{parts.train[0]} and {parts.test[0]} share a folder: the splits would share images"
        )


def _children(folders: Iterable[str]) -> dict[str, list[str]]:
    """The names of the subfolders of each folder above `folders`; that of the top is empty."""
    every: set[str] = set()
    for folder in folders:
        while folder and folder not in every:
            every.add(folder)
            folder = folder.rpartition("/")[0]
    found: dict[str, list[str]] = {}
    for folder in sorted(every):
        parent, _, name = folder.rpartition("/")
        found.setdefault(parent, []).append(name)
    return found


def _stem(path: str) -> str:
    return PurePosixPath(path).stem
