"""WebDataset shards: `.tar` files of samples, `key.jpg` beside `key.cls`."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, NamedTuple, final

from annotated_types import Ge

from fmcore import DataError
from fmcore_data.archives import checked_name, checked_size
from fmcore_data.decoding import SUFFIXES
from fmcore_data.encoded import EncodedImages, Files
from fmcore_data.labels import class_numbers
from fmcore_data.splits import files_of, folder, held_out
from fmcore_data.storage import Images, Labels

__all__ = ["WebDataset"]

LONGEST_LABEL = 20


@final
@dataclass(frozen=True)
class WebDataset(EncodedImages):
    """The samples of the `.tar` shards in `root`, shard by shard, in the order they lie there.

    Shards are named after their split (`train-0000.tar`, `val-0000.tar`), or lie in folders `train`
    and `val`; else they are one set, of which `held_out` samples are kept for the test split.
    Members other than an image and `.cls` are passed over.  Opening reads every header once.
    """

    held_out: Annotated[int, Ge(0)] = 0

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        found = [*_shards(place), *place.glob("*/*.tar")]
        return any(file.suffix == ".tar" and file.is_file() for file in found)

    def _open(self) -> Images:
        root = folder(self.root)
        shards = _shards(root)
        split = files_of(self.split, shards)
        if split is None and root.is_dir():
            inside = files_of(self.split, [child for child in root.iterdir() if child.is_dir()])
            split = None if inside is None else [f for child in inside for f in _shards(child)]
        if split is None:
            return held_out(self._read(shards, root), self.split, self.held_out, str(root))
        return self._read(split, root)

    def _read(self, shards: list[FilePath], root: FilePath) -> Images:
        if not shards:
            raise DataError(f"no .tar shard for '{self.split}' in {root}: data.root=FOLDER")
        samples = [sample for shard in shards for sample in _samples(shard)]
        labels = _labels(samples)
        classes = 0 if labels is None else int(labels.max(initial=-1)) + 1
        return self._decoded(_Samples(samples), labels, classes)


class _Sample(NamedTuple):
    shard: FilePath
    name: str
    offset: int
    size: int
    label: int | None


class _Header(tarfile.TarInfo):
    """A header of no negative size: with one, tarfile of Python before 3.11.14 goes back for ever
    (CVE-2025-8194)."""

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.HeaderError("a member of negative size")
        return int(super()._block(count))  # type: ignore[misc]


def _shards(place: FilePath) -> list[FilePath]:
    return sorted(place.glob("*.tar")) if place.is_dir() else [place]


def _samples(shard: FilePath) -> Iterator[_Sample]:
    """The samples of a shard; its members with one key lie together."""
    try:
        with tarfile.open(shard, "r:", tarinfo=_Header) as archive:
            key, image, label = None, None, None
            for member in archive:
                if not member.isfile():
                    continue
                own, _, suffix = _parts(checked_name(member.name, shard))
                if own != key:
                    if key is not None:
                        yield _sample(shard, key, image, label)
                    key, image, label = own, None, None
                if suffix in SUFFIXES:
                    image = member
                elif suffix == ".cls":
                    label = _class(archive, member, shard)
            if key is not None:
                yield _sample(shard, key, image, label)
    except DataError:
        raise
    except Exception as error:  # tarfile lets many kinds through on a damaged header
        raise DataError(f"cannot read {shard}: {error}; shards are plain .tar files") from error


def _parts(name: str) -> tuple[str, str, str]:
    """The key, up to the first dot of the file's name, and the last suffix."""
    parent, slash, base = name.rpartition("/")
    stem, dot, suffix = base.partition(".")
    last = suffix.rpartition(".")[2]
    return parent + slash + stem, dot, f".{last.lower()}"


def _class(archive: tarfile.TarFile, member: tarfile.TarInfo, shard: FilePath) -> int:
    stream = archive.extractfile(member)
    text = b"" if stream is None else stream.read(LONGEST_LABEL)
    if member.size >= LONGEST_LABEL or not text.strip().isdigit():
        raise DataError(f"{shard}: {member.name} holds {text!r}, not the number of a class")
    return int(text)


def _sample(shard: FilePath, key: str, image: tarfile.TarInfo | None, label: int | None) -> _Sample:
    if image is None:
        raise DataError(
            f"{shard}: sample '{key}' has no image ({', '.join(sorted(SUFFIXES))}) that is read"
        )
    size = checked_size(image.size, image.name, shard)
    return _Sample(shard, image.name, image.offset_data, size, label)


def _labels(samples: list[_Sample]) -> Labels | None:
    labels = [sample.label for sample in samples]
    if all(label is None for label in labels):
        return None
    if None in labels:
        lone = samples[labels.index(None)]
        raise DataError(f"{lone.shard}: {lone.name} has no .cls beside it, but others have")
    return class_numbers(labels, str(samples[0].shard.parent))


@final
class _Samples(Files):
    def __init__(self, samples: list[_Sample]) -> None:
        self.samples = samples

    @property
    def count(self) -> int:
        return len(self.samples)

    def content(self, index: int) -> bytes:
        sample = self.samples[index]
        with sample.shard.open("rb") as stream:
            stream.seek(sample.offset)
            return stream.read(sample.size)

    def name(self, index: int) -> str:
        return f"{self.samples[index].shard}: {self.samples[index].name}"
