"""The `.zip` datasets of StyleGAN and EDM: image files, and their labels in `dataset.json`."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Any, final

from fmcore import DataError
from fmcore_data.archives import check_name, check_size
from fmcore_data.decoding import SUFFIXES
from fmcore_data.encoded import EncodedImages, Files
from fmcore_data.held_out import read_part
from fmcore_data.labels import check_labels
from fmcore_data.listing import describe_contents, find_root, has_file, is_hidden, list_files
from fmcore_data.splits import check_nested, split_files
from fmcore_data.storage import Images, Labels

__all__ = ["EDMZip"]

MANIFEST = "dataset.json"


@final
@dataclass(frozen=True)
class EDMZip(EncodedImages):
    """The images of one `.zip` a split, in order of name; `root` is such a file or their folder.
    For `splits` and `held_out` see docs/data.md.

    Source: `dataset_tool.py` of github.com/NVlabs/edm.
    """

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return has_file(place, (".zip",), depth=1)

    def _open(self) -> Images:
        root = find_root(self.root)
        parts = split_files(root, _zips, self.splits)
        if parts is None or not (parts.train or parts.test):
            raise DataError(
                f"no .zip file in {root}, which contains {describe_contents(root)}: set "
                "data.root=FILE.zip"
            )
        return read_part(parts, self.split, self.held_out, self._read, root)

    def _read(self, files: list[FilePath]) -> Images:
        if len(files) != 1:
            raise DataError(
                f"{files[0].parent} has {len(files)} .zip files for one split: choose one with "
                "data.root=FILE.zip or data.splits"
            )
        members = _Members(files[0])
        check_nested([info.filename for info in members.infos], files[0], self.splits)
        labels = members.labels()
        classes = 0 if labels is None else int(labels.max(initial=-1)) + 1
        return self._decoded(members, labels, classes)


def _zips(folder: FilePath) -> list[FilePath]:
    return list_files(folder, (".zip",))


@final
class _Members(Files):
    def __init__(self, file: FilePath) -> None:
        self.file = file
        try:
            self.archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile lets many kinds through on a damaged directory
            raise DataError(f"cannot read {file}: {error}; fetch it again") from error
        found = self._visible()
        self.infos = [
            found[name] for name in sorted(found) if PurePosixPath(name).suffix.lower() in SUFFIXES
        ]
        self.manifest = self._manifest(found)
        if not self.infos:
            raise DataError(f"{file} contains no image ({', '.join(sorted(SUFFIXES))})")

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
        if len(known) < len(pairs):
            raise DataError(f"{self.file}: {MANIFEST} labels a file twice")
        return check_labels([self._label(info, known) for info in self.infos], str(self.file))

    def _visible(self) -> dict[str, zipfile.ZipInfo]:
        """The members by name.  Raises DataError for two of one name: only one could be read."""
        found: dict[str, zipfile.ZipInfo] = {}
        for info in self.archive.infolist():
            name = check_name(info.filename, self.file)
            if name in found:
                raise DataError(f"{self.file} has two members named {name}: write it again")
            if not (is_hidden(name) or info.is_dir()):
                found[name] = info
        return found

    def _manifest(self, found: dict[str, zipfile.ZipInfo]) -> zipfile.ZipInfo | None:
        deeper = [name for name in found if name.endswith(f"/{MANIFEST}")]
        if MANIFEST not in found and deeper:
            raise DataError(
                f"{self.file}: {deeper[0]} is not at the top of the archive, where its names are "
                "looked up: write the archive from inside that folder"
            )
        return found.get(MANIFEST)

    def _label(self, info: zipfile.ZipInfo, known: dict[str, Any]) -> int:
        label = known.get(info.filename)
        if not isinstance(label, int) or isinstance(label, bool) or label < 0:
            raise DataError(
                f"{self.file}: the label of {info.filename} in {MANIFEST} is {label!r}, "
                "not a class number"
            )
        return label

    def _content(self, info: zipfile.ZipInfo) -> bytes:
        check_size(info.file_size, info.filename, self.file)
        try:
            return self.archive.read(info)
        except Exception as error:  # damaged, encrypted, or compressed in an unknown way
            raise DataError(f"{self.file} is damaged at {info.filename}: {error}") from error
