"""Intermediate states of metrics on disk, one file a piece of the stream.

They let processes share the work, and an interrupted evaluation resume.  A file holds the states of
all metrics after that piece alone, their checksum, and a digest of what they depend on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fmcore.runs.files import atomic, remove_parts, sha256_of_tensors

__all__ = ["PartialMetrics"]

State = Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class PartialMetrics:
    """The states after each piece, in the folder `root`.

    `digest` identifies everything that they depend on; files of another digest are not used.
    """

    root: Path
    digest: str

    def begin(self) -> None:
        """Remove files of another digest, and unfinished ones; the folder must be locked."""
        for file in self.root.glob("piece-*.safetensors"):
            if _metadata(file).get("digest") != self.digest:
                file.unlink()
        remove_parts(self.root)

    def write(self, piece: range, states: Sequence[State], statuses: Mapping[str, int]) -> None:
        """Save the state of each metric after `piece`, atomically, and the count of each solve
        status in it.
        """
        kept: dict[str, Tensor] = {}
        names: list[dict[str, str]] = [{} for _ in states]
        seen: dict[Any, str] = {}
        for place, state in enumerate(states):
            for column, value in state.items():
                tensor = value.detach().cpu().contiguous()
                # metrics on one feature network hold the same tensor: write it once
                same = (tensor.data_ptr(), tensor.dtype, tensor.shape)
                names[place][column] = seen.setdefault(same, f"{place}/{column}")
                kept.setdefault(names[place][column], tensor)
        metadata = {
            "digest": self.digest,
            "names": json.dumps(names),
            "statuses": json.dumps(dict(statuses)),
            "sha256": sha256_of_tensors(kept),
        }
        atomic(self._file(piece), lambda part: save_file(kept, part, metadata))

    def is_valid(self, piece: range) -> bool:
        """Return whether the states of `piece` are there, of this digest and not corrupt."""
        metadata = _metadata(self._file(piece))
        try:
            with safe_open(self._file(piece), "pt") as held:
                tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return False
        return (
            metadata.get("digest") == self.digest
            and metadata.get("sha256") == sha256_of_tensors(tensors)
        )  # fmt: skip

    def state(self, piece: range, place: int) -> dict[str, Tensor]:
        """Return the state of the metric at `place` after `piece`."""
        names: Mapping[str, str] = json.loads(_metadata(self._file(piece))["names"])[place]
        with safe_open(self._file(piece), "pt") as held:
            return {column: held.get_tensor(name) for column, name in names.items()}

    def statuses(self, piece: range) -> dict[str, int]:
        """Return the count of each solve status in `piece`."""
        found: dict[str, int] = json.loads(_metadata(self._file(piece)).get("statuses", "{}"))
        return found

    def _file(self, piece: range) -> Path:
        return self.root / f"piece-{piece.start:08d}-{piece.stop:08d}.safetensors"


def _metadata(file: Path) -> dict[str, str]:
    try:
        with safe_open(file, "pt") as held:
            return held.metadata() or {}
    except (OSError, SafetensorError):
        return {}
