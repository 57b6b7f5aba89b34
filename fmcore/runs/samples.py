"""Samples on disk: one file for every batch of indices, so that sampling can stop and go on
anywhere.

Of many samples only the first few may be kept; the others are named by their index all the same,
and drawn when they are measured.  A shard holds `x` (uint8 levels of images, else float32), `nfe`,
`status`, and the conditions of its samples. `made.json` beside them says how they were made; shards
made otherwise are thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import RunError
from fmcore.runs.files import atomic, json_object, tensors_in, write_json

__all__ = ["Shards"]

MOST_PIECES = 10**7
"""A made.json that speaks of more shards is not to be believed: their names alone fill memory."""


@final
@dataclass(frozen=True)
class Shards:
    """The samples `0 .. count - 1` in files of `size`, of which those that hold the first `keep`
    lie on disk (None: all of them).
    """

    root: Path
    count: int
    size: int
    keep: int | None = None

    def begin(self, made: Mapping[str, Any]) -> None:
        """Keep the shards of an earlier call only if they were made in the same way, and no more of
        them than are to be kept.
        """
        facts = json.loads(json.dumps({**made, "batch_size": self.size, "count": self.count}))
        if {**self.made(), "count": None} != {**facts, "count": None}:
            self._remove(self.root.glob("shard-*.safetensors"))
        if self.keep is not None:
            wanted = {self._file(indices) for indices in self.kept()}
            self._remove(f for f in self.root.glob("shard-*.safetensors") if f not in wanted)
        noted = facts if self.keep is None else {**facts, "keep": self.keep}
        if _made(self.root) != noted:
            write_json(self.root / "made.json", noted)

    def made(self) -> dict[str, Any]:
        """How the samples were made; empty if there are none.  How many are kept is not in it."""
        return self.made_there(self.root)

    @staticmethod
    def made_there(root: Path) -> dict[str, Any]:
        """The same of the samples in the folder `root`."""
        return {key: value for key, value in _made(root).items() if key != "keep"}

    @classmethod
    def there(cls, root: Path) -> Shards:
        """The shards that were drawn last, whatever the recipe says.  Raises RunError if none."""
        made = _made(root)
        if not made:
            raise RunError(f"{root}: no samples yet; draw them with fmcore sample")
        count, size, keep = made["count"], made["batch_size"], made.get("keep")
        numbers = (count, size) if keep is None else (count, size, keep)
        if not all(type(n) is int and n > 0 for n in numbers):
            raise RunError(
                f"{root / 'made.json'}: 'count', 'batch_size' and 'keep' should be above 0"
            )
        if count // size > MOST_PIECES:
            raise RunError(f"{root / 'made.json'}: {count} samples in shards of {size}: too many")
        files = sum(1 for _ in root.glob("shard-*.safetensors"))
        if -(-min(count, keep or count) // size) > files:
            raise RunError(
                f"{root}: holds {files} shards, too few for {count} samples; "
                "draw the samples again with fmcore sample"
            )
        return cls(root, count, size, keep)

    def ranges(self) -> list[range]:
        """The indices of every shard, kept or not."""
        return [range(a, min(a + self.size, self.count)) for a in range(0, self.count, self.size)]

    def kept(self) -> list[range]:
        """The indices of the shards that lie on disk once they are drawn."""
        last = self.count if self.keep is None else self.keep
        return [indices for indices in self.ranges() if indices.start < last]

    def files(self) -> list[Path]:
        """The files of the shards that are there, in order, whole or not."""
        return [file for file in map(self._file, self.kept()) if file.is_file()]

    def missing(self) -> list[range]:
        """Those of them that are not there yet, or not whole."""
        return [indices for indices in self.kept() if self.read(indices) is None]

    def write(self, indices: range, tensors: Mapping[str, Tensor]) -> None:
        """Save the samples `indices`, whole or not at all."""
        kept = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        atomic(self._file(indices), lambda part: save_file(kept, part))

    def read(self, indices: range) -> dict[str, Tensor] | None:
        """The samples `indices`, or None if that shard is not there or not whole."""
        try:
            tensors = tensors_in(self._file(indices))
        except ValueError:
            return None
        whole = tensors.keys() >= {"x", "nfe", "status"}
        return (
            tensors if whole and all(_rows(t) == len(indices) for t in tensors.values()) else None
        )

    def all(self) -> Iterator[tuple[range, dict[str, Tensor]]]:
        """Every shard that is kept, in order.

        Raises RunError at one that is missing, or that holds other things than those before it.
        """
        first: dict[str, Any] | None = None
        for indices in self.kept():
            tensors = self.whole(indices)
            kinds = {name: (tensor.dtype, tensor.shape[1:]) for name, tensor in tensors.items()}
            first = kinds if first is None else first
            if kinds != first:
                raise RunError(
                    f"{self._file(indices)}: holds other things than the shards before it; "
                    "draw the samples again with fmcore sample"
                )
            yield indices, tensors

    def whole(self, indices: range) -> dict[str, Tensor]:
        """The samples `indices`.  Raises RunError if that shard is missing or torn."""
        tensors = self.read(indices)
        if tensors is None:
            raise RunError(
                f"{self._file(indices)}: missing or torn; draw the samples again with fmcore sample"
            )
        return tensors

    def first(self, n: int) -> dict[str, Tensor]:
        """The first `n` samples, or all if there are fewer.

        Raises RunError for more than were kept.
        """
        kept = self.kept()[-1].stop
        if min(n, self.count) > kept:
            raise RunError(
                f"{self.root}: of {self.count} samples the first {kept} were kept, not {n}: "
                f"draw them with fmcore sample RUN keep_on_disk={min(n, self.count)}"
            )
        parts: list[dict[str, Tensor]] = []
        for _, tensors in self.all():
            parts.append(tensors)
            if sum(p["x"].shape[0] for p in parts) >= n:
                break
        return {k: torch.cat([p[k] for p in parts])[:n] for k in parts[0]}

    @staticmethod
    def _remove(files: Iterable[Path]) -> None:
        for file in files:
            file.unlink()

    def _file(self, indices: range) -> Path:
        return self.root / f"shard-{indices.start:08d}-{indices.stop:08d}.safetensors"


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.dim() else 0


def _made(root: Path) -> dict[str, Any]:
    try:
        value = json_object(root / "made.json")
    except ValueError:
        return {}
    return value if {"count", "batch_size"} <= value.keys() else {}
