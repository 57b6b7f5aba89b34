"""The `.zip` sets of StyleGAN and EDM: image files, stored, and their labels in `dataset.json`."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Annotated, Any, final

from annotated_types import Ge

from fmcore import DataError
from fmcore_data.archives import checked_name, checked_size
from fmcore_data.decoding import SUFFIXES
from fmcore_data.encoded import EncodedImages, Files
from fmcore_data.labels import class_numbers
from fmcore_data.splits import files_of, folder, held_out
from fmcore_data.storage import Images, Labels

__all__ = ["EDMZip"]

MANIFEST = "dataset.json"


@final
@dataclass(frozen=True)
class EDMZip(EncodedImages):
    """The images of one `.zip`, in order of name; `root` is that file, of which `held_out` images
    are kept for the test split, or a folder of `train.zip` and `val.zip` (or `test.zip`).

    Source: `dataset_tool.py` of github.com/NVlabs/edm.
    """

    held_out: Annotated[int, Ge(0)] = 0

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return any(zipfile.is_zipfile(file) for file in _zips(place))

    def _open(self) -> Images:
        root = folder(self.root)
        split = files_of(self.split, _zips(root)) if root.is_dir() else None
        if split is None:
            return held_out(self._read(_only(root)), self.split, self.held_out, str(root))
        if len(split) != 1:
            raise DataError(f"{root} has {len(split)} .zip files for '{self.split}', not one")
        return self._read(split[0])

    def _read(self, file: FilePath) -> Images:
        files = _Members(file)
        labels = files.labels()
        classes = 0 if labels is None else int(labels.max(initial=-1)) + 1
        return self._decoded(files, labels, classes)


def _zips(place: FilePath) -> list[FilePath]:
    return sorted(place.glob("*.zip")) if place.is_dir() else [place]


def _only(root: FilePath) -> FilePath:
    found = _zips(root)
    if len(found) != 1:
        raise DataError(f"{root} holds {len(found)} .zip files: name one with data.root=FILE.zip")
    return found[0]


@final
class _Members(Files):
    def __init__(self, file: FilePath) -> None:
        self.file = file
        try:
            self.archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile lets many kinds through on a damaged directory
            raise DataError(f"cannot read {file}: {error}; fetch it again") from error
        found = {checked_name(i.filename, file): i for i in self.archive.infolist()}
        self.infos = [
            found[name] for name in sorted(found) if PurePosixPath(name).suffix.lower() in SUFFIXES
        ]
        self.manifest = found.get(MANIFEST)
        if not self.infos:
            raise DataError(f"{file} holds no image ({', '.join(sorted(SUFFIXES))})")

    @property
    def count(self) -> int:
        return len(self.infos)

    def content(self, index: int) -> bytes:
        return self._content(self.infos[index])

    def name(self, index: int) -> str:
        return f"{self.file}: {self.infos[index].filename}"

    def labels(self) -> Labels | None:
        """The labels of `dataset.json`, image by image; None if it has none."""
        if self.manifest is None:
            return None
        try:
            pairs = json.loads(self._content(self.manifest))["labels"]
            known = None if pairs is None else dict(pairs)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{self.file}: {MANIFEST} is not as EDM writes it: {error!r}"
            ) from error
        if known is None:
            return None
        return class_numbers([self._label(info, known) for info in self.infos], str(self.file))

    def _label(self, info: zipfile.ZipInfo, known: dict[str, Any]) -> int:
        label = known.get(info.filename)
        if not isinstance(label, int) or isinstance(label, bool) or label < 0:
            raise DataError(
                f"{self.file}: the label of {info.filename} in {MANIFEST} is {label!r}, "
                "not the number of a class"
            )
        return label

    def _content(self, info: zipfile.ZipInfo) -> bytes:
        checked_size(info.file_size, info.filename, self.file)
        try:
            return self.archive.read(info)
        except Exception as error:  # damaged, encrypted, or packed in a way Python does not know
            raise DataError(f"{self.file} is damaged at {info.filename}: {error}") from error
