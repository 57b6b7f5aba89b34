"""Samples on disk: one file for every batch of indices, so that sampling can stop and resume.

Of many samples only the first few may be kept; the others have an index too, and are drawn when
they are measured.  A shard holds `x` (uint8 levels of images, else float32), `nfe`, `status`, the
conditions of its samples, and a checksum.  `made.json` in the folder holds their provenance; shards
of another provenance are removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import RunError
from fmcore.runs.files import atomic, json_object, sha256_of_tensors, tensors_in, write_json

__all__ = ["Shards", "samples_digest"]

MAX_SHARDS = 10**7
"""A made.json that claims more shards is refused: their names alone would fill memory."""

REDRAW = "draw the samples again with fmcore sample"


def samples_digest(made: Mapping[str, Any]) -> str:
    """Return a hash of the content of made.json, which identifies the samples."""
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


@final
@dataclass(frozen=True)
class Shards:
    """The samples `0 .. count - 1` in files of `size`; those with the first `keep` are on disk
    (None: all).
    """

    root: Path
    count: int
    size: int
    keep: int | None = None

    def begin(self, provenance: Mapping[str, Any], warn: Callable[[str], None] = print) -> None:
        """Write made.json, and remove shards of another provenance and those not to be kept.

        Raises RunError if there are any and the folder is a link.
        """
        facts, file = self._facts(provenance), self.root / "made.json"
        if file.exists() and not self.provenance():
            warn(f"warning: {file}: corrupt or edited: all samples are drawn again")
        if {**self.provenance(), "count": None} != {**facts, "count": None}:
            self._remove(self.root.glob("shard-*.safetensors"))
        if self.keep is not None:
            wanted = {self._file(indices) for indices in self.kept()}
            self._remove(f for f in self.root.glob("shard-*.safetensors") if f not in wanted)
        noted = facts if self.keep is None else {**facts, "keep": self.keep}
        if _made(self.root) != noted:
            write_json(file, {**noted, "sha256": _sha256(noted)})

    def would_replace(self, provenance: Mapping[str, Any]) -> bool:
        """Return whether `begin` would remove samples, or describe those on disk otherwise."""
        made = _made(self.root)
        before = made.pop("keep", None)
        fewer = self.keep is not None and self.keep < (before or self.count)
        return bool(made) and (made != self._facts(provenance) or fewer)

    def take_over(self, other: Path, provenance: Mapping[str, Any]) -> None:
        """Link or copy the shards that the folder `other` holds of the same samples."""
        theirs = self.provenance_in(other)
        if {**theirs, "count": None} != {**self._facts(provenance), "count": None}:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        for indices in self.kept():
            file = self._file(indices)
            source = other / file.name
            if source.is_file() and not file.exists():
                try:
                    os.link(source, file)  # shards are replaced, never written into
                except OSError:  # another disk, or a file system without links
                    shutil.copyfile(source, file)

    def provenance(self) -> dict[str, Any]:
        """Return how the samples were made, {} if there are none; `keep` is not part of it."""
        return self.provenance_in(self.root)

    @staticmethod
    def provenance_in(root: Path) -> dict[str, Any]:
        """Return the same of the samples in the folder `root`."""
        return {key: value for key, value in _made(root).items() if key != "keep"}

    @classmethod
    def on_disk(cls, root: Path) -> Shards:
        """Return the shards that were drawn last, by their made.json.

        Raises RunError if there are none, too few of them, or made.json is not what fmcore writes.
        """
        made = _made(root)
        if not made:
            if (root / "made.json").exists():
                raise RunError(f"{root / 'made.json'}: corrupt or edited; {REDRAW}")
            raise RunError(f"{root}: no samples yet; draw them with fmcore sample")
        count, size, keep = made["count"], made["batch_size"], made.get("keep")
        numbers = (count, size) if keep is None else (count, size, keep)
        if not all(type(n) is int and n > 0 for n in numbers):
            raise RunError(
                f"{root / 'made.json'}: 'count', 'batch_size' and 'keep' should be above 0"
            )
        if count // size > MAX_SHARDS:
            raise RunError(f"{root / 'made.json'}: {count} samples in shards of {size}: too many")
        files = sum(1 for _ in root.glob("shard-*.safetensors"))
        if -(-min(count, keep or count) // size) > files:
            raise RunError(f"{root}: holds {files} shards, too few for {count} samples; {REDRAW}")
        return cls(root, count, size, keep)

    def ranges(self) -> list[range]:
        """Return the indices of every shard, kept or not."""
        return [range(a, min(a + self.size, self.count)) for a in range(0, self.count, self.size)]

    def kept(self) -> list[range]:
        """Return the indices of the shards that are on disk once they are drawn."""
        last = self.count if self.keep is None else self.keep
        return [indices for indices in self.ranges() if indices.start < last]

    def files(self) -> list[Path]:
        """Return the files of the shards on disk, in order, valid or not."""
        return [file for file in map(self._file, self.kept()) if file.is_file()]

    def missing(self, warn: Callable[[str], None] = print) -> list[range]:
        """Return the indices of the shards still to be drawn; a corrupt one is reported."""
        missing = [indices for indices in self.kept() if self.read(indices) is None]
        for file in (self._file(indices) for indices in missing):
            if file.is_file():
                warn(f"warning: {file}: corrupt: its samples are drawn again")
        return missing

    def write(self, indices: range, tensors: Mapping[str, Tensor]) -> None:
        """Save the samples `indices` atomically."""
        kept = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        metadata = {"sha256": sha256_of_tensors(kept)}
        atomic(self._file(indices), lambda part: save_file(kept, part, metadata))

    def read(self, indices: range) -> dict[str, Tensor] | None:
        """Return the samples `indices`, or None if that shard is missing or corrupt."""
        file = self._file(indices)
        try:
            tensors = tensors_in(file)
        except ValueError:
            return None
        complete = tensors.keys() >= {"x", "nfe", "status"}
        if not complete or any(_rows(t) != len(indices) for t in tensors.values()):
            return None
        return tensors if _checksum_in(file) in (None, sha256_of_tensors(tensors)) else None

    def all(self) -> Iterator[tuple[range, dict[str, Tensor]]]:
        """Yield every kept shard, in order.

        Raises RunError at one that is missing or corrupt, or whose tensors are of other names,
        dtypes or shapes than those of the first.
        """
        first: dict[str, Any] | None = None
        for indices in self.kept():
            tensors = self.load(indices)
            kinds = {name: (tensor.dtype, tensor.shape[1:]) for name, tensor in tensors.items()}
            first = kinds if first is None else first
            if kinds != first:
                raise RunError(
                    f"{self._file(indices)}: its tensors differ in name, type or shape from "
                    f"those of the shards before it; {REDRAW}"
                )
            yield indices, tensors

    def load(self, indices: range) -> dict[str, Tensor]:
        """Return the samples `indices`.  Raises RunError if that shard is missing or corrupt."""
        tensors = self.read(indices)
        if tensors is None:
            raise RunError(f"{self._file(indices)}: missing or corrupt; {REDRAW}")
        return tensors

    def first(self, n: int) -> dict[str, Tensor]:
        """Return the first `n` samples, or all if there are fewer.

        Raises RunError for more than were kept.
        """
        kept = self.kept()[-1].stop
        if min(n, self.count) > kept:
            raise RunError(
                f"{self.root}: of {self.count} samples the first {kept} were kept, not {n}: "
                f"draw them with fmcore sample RUN keep_on_disk={min(n, self.count)}"
            )
        parts: list[dict[str, Tensor]] = []
        for indices, tensors in self.all():
            parts.append(tensors)
            if indices.stop >= n:
                break
        return {k: torch.cat([p[k] for p in parts])[:n] for k in parts[0]}

    def _facts(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Return the provenance as JSON gives it back, so that it can be compared."""
        facts: dict[str, Any] = json.loads(
            json.dumps({**provenance, "batch_size": self.size, "count": self.count})
        )
        return facts

    def _remove(self, files: Iterable[Path]) -> None:
        for file in list(files):
            if self.root.is_symlink():
                raise RunError(
                    f"{self.root}: is a link, and nothing is deleted through one: remove the link, "
                    "or draw into another folder with fmcore sample --to DIR"
                )
            file.unlink()  # of a link the link itself, not what it points to

    def _file(self, indices: range) -> Path:
        return self.root / f"shard-{indices.start:08d}-{indices.stop:08d}.safetensors"


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.dim() else 0


def _made(root: Path) -> dict[str, Any]:
    """Return the content of made.json; {} if it is missing, corrupt or something else."""
    try:
        value = json_object(root / "made.json")
    except ValueError:
        return {}
    checksum = value.pop("sha256", None)
    if checksum not in (None, _sha256(value)):
        return {}
    return value if {"count", "batch_size"} <= value.keys() else {}


def _sha256(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _checksum_in(file: Path) -> str | None:
    """Return the checksum in a shard's header; None if it has none."""
    with safe_open(file, "pt") as held:
        return (held.metadata() or {}).get("sha256")
