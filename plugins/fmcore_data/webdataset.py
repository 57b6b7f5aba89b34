"""WebDataset shards: `.tar` files of samples, an image `KEY.jpg` and its class `KEY.cls`.

The key of a member is its path up to the first dot of the file's name; the rest is its extension.
The members of a sample follow one another.  Equal keys in different shards are different samples.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import NamedTuple, final

from fmcore import DataError
from fmcore_data.archives import check_name, check_size
from fmcore_data.decoding import SUFFIXES
from fmcore_data.encoded import EncodedImages, Files
from fmcore_data.held_out import read_part
from fmcore_data.labels import check_labels
from fmcore_data.listing import (
    describe_contents,
    find_root,
    has_file,
    is_hidden,
    list_files,
    list_folders,
)
from fmcore_data.splits import check_nested, split_files
from fmcore_data.storage import Images, Labels

__all__ = ["WebDataset"]

MAX_LABEL_BYTES = 20
IMAGES = frozenset(suffix[1:] for suffix in SUFFIXES)


@final
@dataclass(frozen=True)
class WebDataset(EncodedImages):
    """The samples of the `.tar` shards in `root` or its subfolders, shard by shard, in their order.

    A sample's image is its member `KEY.EXT` with the extension of an image, `image` if given, as in
    `mask.png`.  An extension with a dot is read without that option if no sample has a plain one.
    Other members, except `.cls`, are not read.  Opening reads every header once.  For `splits` and
    `held_out` see docs/data.md.
    """

    image: str | None = field(default=None, kw_only=True)

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return has_file(place, (".tar",), depth=2)

    def _open(self) -> Images:
        root = find_root(self.root)
        parts = split_files(root, _shards, self.splits)
        if parts is None or not (parts.train or parts.test):
            folders = ", ".join(f.name for f in list_folders(root) if _shards(f))
            raise DataError(
                f"the shards of {root} are in folders that name no split: {folders}; set "
                "data.splits=none to read one set, or data.root=FOLDER"
                if folders
                else f"no .tar shard in {root}, which contains {describe_contents(root)}: "
                "set data.root=FOLDER"
            )
        return read_part(parts, self.split, self.held_out, self._read, root)

    def _read(self, shards: list[FilePath]) -> Images:
        samples = [sample for shard in shards for sample in _samples(shard, self.image)]
        if not samples:
            raise DataError(f"{shards[0]} contains no sample: set data.root=FOLDER")
        _check_extensions(samples, self.image)
        check_nested([sample.name for sample in samples], shards[0].parent, self.splits)
        labels = _labels(samples)
        classes = 0 if labels is None else int(labels.max(initial=-1)) + 1
        return self._decoded(_Samples(samples), labels, classes)


class _Sample(NamedTuple):
    shard: FilePath
    name: str
    extension: str
    offset: int
    size: int
    label: int | None


class _Header(tarfile.TarInfo):
    """A header without a negative size, which makes tarfile of Python before 3.11.14 loop for ever
    (CVE-2025-8194)."""

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.HeaderError("a member of negative size")
        return int(super()._block(count))  # type: ignore[misc]


def _shards(folder: FilePath) -> list[FilePath]:
    return list_files(folder, (".tar",))


def _samples(shard: FilePath, extension: str | None) -> Iterator[_Sample]:
    """The samples of a shard.  Raises DataError for a shard that is damaged or repeats a key."""
    seen: set[str] = set()
    try:
        with tarfile.open(shard, "r:", tarinfo=_Header) as archive:
            for key, members in _grouped(archive, shard):
                if key in seen:
                    raise DataError(
                        f"{shard} has members of sample '{key}' in two places: write its samples "
                        "one after another, each with a key of its own"
                    )
                seen.add(key)
                label = _class(archive, members["cls"], shard) if "cls" in members else None
                name = _image(members, extension, f"{shard}: sample '{key}'")
                member = members[name]
                size = check_size(member.size, member.name, shard)
                yield _Sample(shard, member.name, name, member.offset_data, size, label)
    except DataError:
        raise
    except Exception as error:  # tarfile lets many kinds through on a damaged header
        raise DataError(f"cannot read {shard}: {error}; shards are plain .tar files") from error


def _grouped(
    archive: tarfile.TarFile, shard: FilePath
) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Each key, with its members by extension."""
    key, members = "", dict[str, tarfile.TarInfo]()
    for member in archive:
        name = check_name(member.name, shard)
        if member.isdir() or is_hidden(name):
            continue
        own, extension = _parts(name)
        if own != key and members:
            yield key, members
            members = {}
        key = own
        if extension in members:
            raise DataError(f"{shard} has two members named {name}: write it again")
        if not member.isreg() or member.issparse():
            _refuse_link(extension, name, shard)
            continue
        members[extension] = member
    if members:
        yield key, members


def _refuse_link(extension: str, name: str, shard: FilePath) -> None:
    """A member that has no bytes of its own is skipped only if it would not be read."""
    if extension.rpartition(".")[2] in IMAGES | {"cls"}:
        raise DataError(
            f"{shard}: {name} is a link, a sparse file or a device, not a regular file: write the "
            "shard with tar --dereference --hard-dereference"
        )


def _parts(name: str) -> tuple[str, str]:
    """The key, up to the first dot of the file's name, and the extension, in lower case."""
    parent, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return parent + slash + stem, extension.lower()


def _image(members: dict[str, tarfile.TarInfo], extension: str | None, where: str) -> str:
    """The extension of a sample's image.  Raises DataError if there is none, or a choice."""
    found = [name for name in members if name.rpartition(".")[2] in IMAGES]
    if extension is not None:
        if extension.lower().lstrip(".") not in found:
            raise DataError(f"{where} has no image .{extension.lstrip('.')}, but {found or 'none'}")
        return extension.lower().lstrip(".")
    chosen = [name for name in found if name in IMAGES] or found
    if len(chosen) > 1:
        raise DataError(
            f"{where} has {len(chosen)} images, .{', .'.join(chosen)}: choose one with "
            f"data.image={chosen[0]}, or rename them (a key ends at the first dot)"
        )
    if not chosen:
        raise DataError(f"{where} has no image ({', '.join(sorted(SUFFIXES))}) that is read")
    return chosen[0]


def _check_extensions(samples: Sequence[_Sample], extension: str | None) -> None:
    """Raise DataError if a dotted extension, as in `mask.png`, replaces another in some samples."""
    dotted = next((s for s in samples if s.extension not in IMAGES), None)
    if extension is not None or dotted is None:
        return
    other = next((s for s in samples if s.extension != dotted.extension), None)
    if other is not None:
        raise DataError(
            f"{dotted.shard}: {dotted.name} is the only image of its sample, but others have "
            f".{other.extension}: choose one with data.image={other.extension}"
        )


def _class(archive: tarfile.TarFile, member: tarfile.TarInfo, shard: FilePath) -> int:
    stream = archive.extractfile(member)
    text = b"" if stream is None else stream.read(MAX_LABEL_BYTES)
    if member.size >= MAX_LABEL_BYTES or not text.strip().isdigit():
        raise DataError(f"{shard}: {member.name} contains {text!r}, not a class number")
    return int(text)


def _labels(samples: Sequence[_Sample]) -> Labels | None:
    labels = [sample.label for sample in samples]
    if all(label is None for label in labels):
        return None
    if None in labels:
        lone = samples[labels.index(None)]
        raise DataError(f"{lone.shard}: the sample of {lone.name} has no .cls, but others have")
    return check_labels(labels, str(samples[0].shard.parent))


@final
class _Samples(Files):
    def __init__(self, samples: Sequence[_Sample]) -> None:
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
