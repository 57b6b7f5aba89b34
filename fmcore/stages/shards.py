"""Samples on disk: one file for every batch of indices, so that sampling can stop and go on
anywhere.

A shard holds `x` (uint8 levels of images, else float32), `nfe`, `status`, and the conditions of its
samples. `made.json` beside them says how they were made; shards made otherwise are thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import RunError
from fmcore.runs.atomic import atomic, write_json
from fmcore.runs.untrusted import json_object, tensors_in

__all__ = ["Shards"]


@final
@dataclass(frozen=True)
class Shards:
    """The samples `0 .. count - 1` in files of `size`."""

    root: Path
    count: int
    size: int

    def begin(self, made: Mapping[str, Any]) -> None:
        """Keep the shards of an earlier call only if they were made in the same way."""
        facts = json.loads(json.dumps({**made, "batch_size": self.size, "count": self.count}))
        before = self.made()
        if {**before, "count": None} != {**facts, "count": None}:
            for path in self.root.glob("shard-*.safetensors"):
                path.unlink()
        if before != facts:
            write_json(self.root / "made.json", facts)

    def made(self) -> dict[str, Any]:
        """How the samples were made; empty if there are none."""
        return _made(self.root)

    @classmethod
    def there(cls, root: Path) -> Shards:
        """The shards that were drawn last, whatever the recipe says.  Raises RunError if none."""
        made = _made(root)
        if not made:
            raise RunError(f"{root}: no samples yet; draw them with fmcore sample")
        count, size = made["count"], made["batch_size"]
        if not all(type(n) is int and n > 0 for n in (count, size)):
            raise RunError(f"{root / 'made.json'}: 'count' and 'batch_size' should be above 0")
        files = sum(1 for _ in root.glob("shard-*.safetensors"))
        if -(-count // size) > files:
            raise RunError(
                f"{root}: holds {files} shards, too few for {count} samples; "
                "draw the samples again with fmcore sample"
            )
        return cls(root, count, size)

    def ranges(self) -> list[range]:
        """The indices of every shard."""
        return [range(a, min(a + self.size, self.count)) for a in range(0, self.count, self.size)]

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
        """Every shard in order.  Raises RunError at one that is missing."""
        first: dict[str, Any] | None = None
        for indices in self.ranges():
            tensors = self.read(indices)
            if tensors is None:
                raise RunError(
                    f"{self._file(indices)}: missing or torn; "
                    "draw the samples again with fmcore sample"
                )
            kinds = {name: (tensor.dtype, tensor.shape[1:]) for name, tensor in tensors.items()}
            first = kinds if first is None else first
            if kinds != first:
                raise RunError(
                    f"{self._file(indices)}: holds other things than the shards before it; "
                    "draw the samples again with fmcore sample"
                )
            yield indices, tensors

    def first(self, n: int) -> dict[str, Tensor]:
        """The first `n` samples, or all if there are fewer."""
        parts: list[dict[str, Tensor]] = []
        for _, tensors in self.all():
            parts.append(tensors)
            if sum(p["x"].shape[0] for p in parts) >= n:
                break
        return {k: torch.cat([p[k] for p in parts])[:n] for k in parts[0]}

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
