"""Image files in folders: one folder a class, or one flat folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Literal, final

from fmcore import DataError
from fmcore_data.class_table import read_class_table
from fmcore_data.decoding import SUFFIXES
from fmcore_data.encoded import EncodedImages, Files, number_by_name
from fmcore_data.held_out import read_part
from fmcore_data.listing import (
    describe_contents,
    find_root,
    has_file,
    list_files,
    list_folders,
    walk,
)
from fmcore_data.split_names import is_split_word
from fmcore_data.splits import Parts, check_nested, split_folders
from fmcore_data.storage import Images, Labels

__all__ = ["ImageFolder"]

LISTED_CLASSES = 5


@final
@dataclass(frozen=True)
class ImageFolder(EncodedImages):
    """The image files below the folders of the splits in `root`, or below `root`, sorted by path.

    `labels` chooses what names the class of a file: its `folder` (as in ImageNet and torchvision),
    its own `name` up to the first `_` (as in guided-diffusion's flat folders), or nothing.  `table`
    is a CSV or JSON file with the class of each file instead, and `table_keys` are its columns of
    files and classes; by default those of Hugging Face's `metadata.csv`.  Classes are numbered in
    order of name, those of the test split as in the train split.  Hidden files are skipped; links
    are followed.  For `splits` and `held_out` see docs/data.md.
    """

    labels: Literal["folder", "name", "none"] = "folder"
    table: FilePath | None = None
    table_keys: tuple[str, str] = ("file_name", "label")

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        # Not deeper than ROOT/train/CLASS/FILE: other formats contain image files somewhere too.
        return place.is_dir() and has_file(place, SUFFIXES, depth=3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.table is not None and self.labels == "name":
            raise DataError("data.labels=name and data.table both name the classes: give one")

    def _open(self) -> Images:
        root = find_root(self.root)
        if not root.is_dir():
            raise DataError(f"{root} is a file, not a folder of images: set data.root=FOLDER")
        parts = self._parts(root)
        return read_part(parts, self.split, self.held_out, lambda own: self._read(own, parts), root)

    def _parts(self, root: FilePath) -> Parts:
        folders = list_folders(root)
        full = [f for f in folders if next(walk(f, SUFFIXES), None) is not None]
        if all(is_split_word(f.name) for f in full):  # an empty split is an error, not no split
            full = [f for f in folders if f in full or (full and is_split_word(f.name))]
        return split_folders(root, full, bool(list_files(root, SUFFIXES)), self.splits)

    def _read(self, own: list[FilePath], parts: Parts) -> Images:
        (place,) = own
        paths = self._paths(own, parts)
        # Classes are numbered as in the train split: the test split may lack some.
        known = paths if parts.train in (None, own) else self._paths(parts.train or [], parts)
        labels, classes = self._labels(paths, known, place)
        return self._decoded(_Paths(place, paths), labels, len(classes), classes)

    def _paths(self, own: list[FilePath], parts: Parts) -> list[str]:
        (place,) = own
        other = parts.test if own == parts.train else parts.train
        paths = sorted(walk(place, SUFFIXES, other[0] if other else None))
        if not paths:
            raise DataError(
                f"no image file ({', '.join(sorted(SUFFIXES))}) below {place}, which contains "
                f"{describe_contents(place)}: set data.root=FOLDER"
            )
        check_nested(paths, place, self.splits)
        return paths

    def _labels(
        self, paths: list[str], known: list[str], place: FilePath
    ) -> tuple[Labels | None, tuple[str, ...]]:
        """The label of each of `paths`, and the names of the classes of the files `known`."""
        class_of = self._class if self.table is None else _by_table(self.table, self.table_keys)
        names, classes = [class_of(path) for path in paths], {*map(class_of, known)}
        if classes == {""}:
            return None, ()
        if "" in names and self.table is not None:
            raise DataError(
                f"data.table: '{self.table}' has no class for {names.count('')} of {len(names)} "
                f"files, such as {paths[names.index('')]}"
            )
        if "" in names:
            raise DataError(
                f"{place / paths[names.index('')]} has no class, but others have: "
                "choose what names the class with data.labels=folder|name|none"
            )
        if unknown := sorted(set(names) - classes):
            raise DataError(
                f"{place} has classes that the train split lacks: {unknown[:LISTED_CLASSES]}"
            )
        return number_by_name(names, sorted(classes)), tuple(sorted(classes))

    def _class(self, path: str) -> str:
        """The name of a file's class; empty if nothing names it."""
        if self.labels == "folder":
            return path.partition("/")[0] if "/" in path else ""
        name = path.rpartition("/")[2]
        return name.partition("_")[0] if self.labels == "name" and "_" in name else ""


def _by_table(file: FilePath, keys: tuple[str, str]) -> Callable[[str], str]:
    """Return the class of a path below the folder by a table of paths or of names."""
    table = read_class_table(file.expanduser(), keys)
    return lambda path: table.get(path) or table.get(path.rpartition("/")[2], "")


@final
class _Paths(Files):
    def __init__(self, place: FilePath, paths: list[str]) -> None:
        self.place = place
        self.paths = paths

    @property
    def count(self) -> int:
        return len(self.paths)

    def content(self, index: int) -> bytes:
        try:
            return (self.place / self.paths[index]).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {self.name(index)}: {error.strerror}") from error

    def name(self, index: int) -> str:
        return str(self.place / self.paths[index])
