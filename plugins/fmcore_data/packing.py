"""Packed images: a folder with one uint8 array a split, which training reads at memory speed.

    OUT/manifest.json       what it is, and where it came from
    OUT/train.images.npy    uint8 (count, channels, height, width)
    OUT/train.labels.npy    int64 (count,), where there are labels
    OUT/train.latents.npy   float32 (count, *latent shape), where a codec encoded the images
    OUT/test....            likewise

Any image data set can be packed; `numpy.load(..., mmap_mode="r")` opens the arrays anywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt
import torch

from fmcore import Codec, ImageDataset, Rows, Split, image_fingerprint
from fmcore.errors import DataError, MissingSplitError
from fmcore.runs.files import json_object, locked, writable, write_json

__all__ = ["MANIFEST", "Packed", "Progress", "pack", "unpacked"]

FORMAT = "fmcore packed images 1"
MANIFEST = "manifest.json"
CHUNK = 1_024
ENCODED = 64
"""Images encoded at once: a large autoencoder keeps many activations of each."""

MOST_CLASSES = 1_000_000
"""More than any labelled set has: a network makes a row of weights for each."""

Progress = Callable[[Split, int, int], None]
"""Called with the split, how many images are written, and how many there are."""


@final
@dataclass(frozen=True)
class Packed:
    """One split of a packed set; `pixels` and `labels` are memory maps."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    levels: int
    classes: int
    fingerprint: str
    description: str
    latents: npt.NDArray[np.float32] | None = None
    codec: str = ""
    """The fingerprint of the codec of the latents."""

    names: tuple[str, ...] = ()
    """The names of the classes."""


@dataclass(frozen=True)
class _Entry:
    """The manifest's entry of a split."""

    count: int
    shape: tuple[int, ...]
    levels: int
    classes: int
    labels: bool
    fingerprint: str
    description: str
    latent_shape: tuple[int, ...] = ()
    codec: str = ""
    names: tuple[str, ...] = ()


def pack(
    data: ImageDataset,
    out: Path,
    splits: Sequence[Split] = ("train", "test"),
    source: dict[str, Any] | None = None,
    progress: Progress = lambda split, done, count: None,
    codec: Codec | None = None,
) -> dict[str, Any]:
    """Write `splits` of `data` to the new folder `out`, and return its manifest.

    With a `codec`, the latents of the images are written too: each is encoded once, as `augmented`
    gives it without a flip.  `source` goes into the manifest: where the images came from.  The
    folder appears when it is whole; a full disk leaves nothing.  Raises DataError if `out` exists
    or a split cannot be read.
    """
    part = out.with_name(f"{out.name}.part")
    busy = f"{out}: another process is packing images into this folder; wait for it"
    with locked(out.with_name(f".{out.name}.lock"), busy, remove=True), writable(out):
        if out.exists():
            raise DataError(f"{out} exists: give a new folder, or remove it")
        if part.exists():
            shutil.rmtree(part)  # what a killed process left
        part.mkdir(parents=True)
        try:
            entries = {s: asdict(_write(data.with_split(s), part, progress, codec)) for s in splits}
            manifest = {"format": FORMAT, "splits": entries, "source": source or {}}
            write_json(part / MANIFEST, manifest)
            part.rename(out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return manifest


def unpacked(root: Path, split: Split) -> Packed:
    """The images that `pack` wrote to `root`.  Raises DataError if they are missing or damaged."""
    entry = _entry(root, split)
    pixels = _array(root / f"{split}.images.npy", (entry.count, *entry.shape), np.uint8)
    labels = (
        _array(root / f"{split}.labels.npy", (entry.count,), np.int64) if entry.labels else None
    )
    if labels is not None and not ((labels >= 0) & (labels < entry.classes)).all():
        raise DataError(f"{root}: a '{split}' label is none of {entry.classes} classes")
    found = image_fingerprint(entry.count, entry.shape, labels, lambda rows: pixels[rows])
    if found != entry.fingerprint:
        raise DataError(
            f"the '{split}' images in {root} are not those that were packed: their fingerprint is "
            f"{found}, the manifest's {entry.fingerprint}; pack them again"
        )
    latents = (
        _array(root / f"{split}.latents.npy", (entry.count, *entry.latent_shape), np.float32)
        if entry.codec
        else None
    )
    return Packed(
        pixels,
        labels,
        entry.levels,
        entry.classes,
        found,
        entry.description,
        latents,
        entry.codec,
        entry.names,
    )


def _write(
    data: ImageDataset, folder: Path, progress: Progress, codec: Codec | None = None
) -> _Entry:
    """Write one split: images as they are read, then labels and latents."""
    count, shape = data.length, tuple(data.shape)
    labels = np.empty(count, np.int64) if data.classes else None
    file = folder / f"{data.split}.images.npy"
    with file.open("wb") as stream:
        # Not through a memory map: a full disk would kill the process instead of raising.
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
        npy.write_array_header_1_0(stream, header)
        for first, batch in _batches(data):
            stream.write(batch["x1"].numpy().tobytes())
            if labels is not None:
                labels[first : first + len(batch["label"])] = batch["label"].numpy()
            progress(data.split, first + len(batch["x1"]), count)
    if labels is not None:
        np.save(folder / f"{data.split}.labels.npy", labels, allow_pickle=False)
    pixels = _array(file, (count, *shape), np.uint8)
    fingerprint = image_fingerprint(count, shape, labels, lambda rows: pixels[rows])
    facts = (count, shape, data.levels, data.classes, labels is not None)
    entry = _Entry(*facts, fingerprint, data.description, names=data.class_names)
    if codec is None or not count:
        return entry
    latent_shape = _encode(data, codec, folder / f"{data.split}.latents.npy", progress)
    return replace(entry, latent_shape=latent_shape, codec=codec.fingerprint)


def _encode(data: ImageDataset, codec: Codec, file: Path, progress: Progress) -> tuple[int, ...]:
    """Write the latents of every image of `data`, and return the shape of one."""
    plain = replace(data, flip=False)
    shape = tuple(codec.shape(tuple(data.shape)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with file.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": (data.length, *shape)}
        npy.write_array_header_1_0(stream, header)
        for first in range(0, data.length, ENCODED):
            indices = range(first, min(first + ENCODED, data.length))
            rows = Rows(0, "pack", 0, indices, device)
            x1 = data.batch(indices)["x1"].to(device)
            with torch.no_grad():
                latents = codec.encode(plain.augmented({"x1": x1}, rows)["x1"], rows)
            stream.write(latents.float().cpu().numpy().astype("<f4").tobytes())
            progress(data.split, indices.stop, data.length)
    return shape


def _batches(data: ImageDataset) -> Iterator[tuple[int, dict[str, Any]]]:
    for first in range(0, data.length, CHUNK):
        yield first, data.batch(range(first, min(first + CHUNK, data.length)))


def _entry(root: Path, split: Split) -> _Entry:
    file = root / MANIFEST
    try:
        there = file.is_file()
        manifest = json_object(file) if there else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is not the manifest of packed images: {error}") from error
    if not there:
        raise DataError(
            f"no packed images in {root}: make them with `fmcore data pack SRC {root}`, or set "
            "data.root=FOLDER"
        )
    if manifest.get("format") != FORMAT:
        found = str(manifest.get("format"))[:60]
        raise DataError(f"{file} is in another format than '{FORMAT}': {found!r}")
    known = manifest.get("splits")
    if not isinstance(known, dict) or split not in known:
        held = ", ".join(known) if isinstance(known, dict) else ""
        raise MissingSplitError(
            f"{root} holds no '{split}' split; it holds {held or 'none'}: "
            "pack it too, or set data.root=FOLDER"
        )
    return _checked(known[split], file)


def _checked(entry_json: Any, file: Path) -> _Entry:
    """Return the entry of a split.  Raises DataError unless `pack` could have written it."""
    try:
        # absent in folders packed by earlier versions
        listed = {k: tuple(entry_json.get(k, ())) for k in ("latent_shape", "names")}
        entry = _Entry(**{**entry_json, "shape": tuple(entry_json["shape"]), **listed})
    except (AttributeError, TypeError, KeyError) as error:
        raise DataError(f"{file} is damaged: {error}") from error
    numbers = (entry.count, *entry.shape, *entry.latent_shape, entry.classes, entry.levels)
    sound = all(type(number) is int and number >= 0 for number in numbers)
    words = (entry.fingerprint, entry.description, entry.codec, *entry.names)
    texts = all(isinstance(t, str) for t in words) and len(entry.names) in (0, entry.classes)
    few = sound and 2 <= entry.levels <= 256 and entry.classes <= MOST_CLASSES
    if not (few and texts and len(entry.shape) == 3):
        raise DataError(f"{file} is damaged: it describes no images of 256 levels")
    return entry


def _array(file: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Return the array in `file`, mapped.  Raises DataError unless it agrees with the manifest."""
    try:
        array = npy.open_memmap(file, mode="r")
    except Exception as error:  # numpy lets many kinds through on a damaged header
        raise DataError(f"cannot read {file}: {error}; pack the images again") from error
    if array.shape != shape or array.dtype != dtype:
        raise DataError(
            f"{file} holds {array.dtype} {array.shape}, but its manifest has {dtype.__name__} "
            f"{shape}; pack the images again"
        )
    return np.asarray(array)
