"""Image files in folders: one folder a class, or one flat folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Literal, final

from annotated_types import Ge

from fmcore import DataError
from fmcore_data.decoding import SUFFIXES
from fmcore_data.encoded import EncodedImages, Files, labels_by_name
from fmcore_data.splits import NAMES, folder, held_out
from fmcore_data.storage import Images, Labels

__all__ = ["ImageFolder"]


@final
@dataclass(frozen=True)
class ImageFolder(EncodedImages):
    """The image files beneath `root`/train and `root`/val (or valid, validation, test), in order of
    their paths.

    `labels` says what names a file's class: its `folder` (as in ImageNet and torchvision), its own
    `name` up to the first `_` (as in guided-diffusion's flat folders), or nothing.  Classes are
    numbered in order of name.  A root without those folders is one set; `held_out` images of it
    are kept for the test split.
    """

    labels: Literal["folder", "name", "none"] = "folder"
    held_out: Annotated[int, Ge(0)] = 0

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        # Not deeper than ROOT/train/CLASS/FILE: other formats hold image files somewhere too.
        near = (file for depth in ("*", "*/*", "*/*/*") for file in place.glob(depth))
        return any(file.suffix.lower() in SUFFIXES for file in near)

    def _open(self) -> Images:
        root = folder(self.root)
        own, train = self._place(root, self.split), self._place(root, "train")
        whole = own is None
        place = root if own is None else own
        paths = _images(place)
        if not paths:
            raise DataError(
                f"no image file ({', '.join(sorted(SUFFIXES))}) beneath {place}; "
                "say where they are: data.root=FOLDER"
            )
        # Classes are numbered as in training: another split may lack some.
        known = paths if whole or train is None else _images(train)
        labels, classes = self._labels(paths, known, place)
        images = self._decoded(_Paths(place, paths), labels, classes)
        return held_out(images, self.split, self.held_out, str(root)) if whole else images

    def _labels(
        self, paths: list[str], known: list[str], place: FilePath
    ) -> tuple[Labels | None, int]:
        """The label of each of `paths`, among the classes of the files `known`."""
        names, classes = [self._class(path) for path in paths], {*map(self._class, known)}
        if classes == {""}:
            return None, 0
        if "" in names:
            raise DataError(
                f"{place / paths[names.index('')]} has no class, but others have: "
                "say what names the class with data.labels=folder|name|none"
            )
        if unknown := sorted(set(names) - classes):
            raise DataError(f"{place} has classes that are not in training: {unknown[:5]}")
        return labels_by_name(names, sorted(classes)), len(classes)

    def _class(self, path: str) -> str:
        """What names the class of a file; empty if nothing does."""
        if self.labels == "folder":
            return path.partition("/")[0] if "/" in path else ""
        name = path.rpartition("/")[2]
        return name.partition("_")[0] if self.labels == "name" and "_" in name else ""

    @staticmethod
    def _place(root: FilePath, split: str) -> FilePath | None:
        """The folder of `split` in `root`; None if there are no such folders."""
        found = {
            name: child
            for child in root.iterdir()
            for name in [_split_word(child.name)]
            if child.is_dir() and name is not None
        }
        if not found:
            return None
        words = NAMES["train"] if split == "train" else NAMES["test"]
        for word in words:
            if word in found:
                return found[word]
        raise DataError(f"{root} has no folder {' or '.join(words)}; say data.root=FOLDER")


def _split_word(name: str) -> str | None:
    """`train` of `train` and `train_64x64`."""
    word = name.lower().partition("_")[0]
    return word if any(word in words for words in NAMES.values()) else None


def _images(place: FilePath) -> list[str]:
    """The image files beneath `place`, as paths from there with `/`, sorted."""
    return sorted(_image_names(place))


def _image_names(place: FilePath) -> Iterator[str]:
    for parent, _, names in os.walk(place, followlinks=True):
        for name in names:
            if FilePath(name).suffix.lower() in SUFFIXES:
                yield FilePath(parent, name).relative_to(place).as_posix()


@final
class _Paths(Files):
    def __init__(self, place: FilePath, paths: list[str]) -> None:
        self.place = place
        self.paths = paths

    @property
    def count(self) -> int:
        return len(self.paths)

    def content(self, index: int) -> bytes:
        return (self.place / self.paths[index]).read_bytes()

    def name(self, index: int) -> str:
        return str(self.place / self.paths[index])
