"""What metrics keep of a stream, on disk: one file for every piece, so that measuring can be shared
out, and go on after an interruption.

A file holds the states of all metrics after that piece alone, a checksum of them, and what they
depend on; those of other metrics, weights or samples are thrown away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fmcore.runs.files import atomic

__all__ = ["Tallies"]

State = Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class Tallies:
    """The tallies of pieces, named by their indices, in the folder `root`; `made` is a digest of
    everything that they depend on.
    """

    root: Path
    made: str

    def begin(self) -> None:
        """Throw away what was made otherwise, and what was left half written."""
        for file in self.root.glob("piece-*.safetensors"):
            if _notes(file).get("made") != self.made:
                file.unlink()
        for part in self.root.glob(".*.part"):
            part.unlink()

    def write(self, piece: range, states: Sequence[State], ended: Mapping[str, int]) -> None:
        """Save the state of each metric after `piece`, whole or not at all, and how many rows'
        solves ended in which way.

        Metrics that look through one network keep the same tensors, which are written once.
        """
        kept: dict[str, Tensor] = {}
        names: list[dict[str, str]] = [{} for _ in states]
        seen: dict[Any, str] = {}
        for place, state in enumerate(states):
            for column, value in state.items():
                tensor = value.detach().cpu().contiguous()
                alike = (tensor.data_ptr(), tensor.dtype, tensor.shape)
                names[place][column] = seen.setdefault(alike, f"{place}/{column}")
                kept.setdefault(names[place][column], tensor)
        notes = {
            "made": self.made,
            "names": json.dumps(names),
            "ended": json.dumps(dict(ended)),
            "sha256": _checksum(kept),
        }
        atomic(self._file(piece), lambda part: save_file(kept, part, notes))

    def whole(self, piece: range) -> bool:
        """Whether the tally of `piece` is there, undamaged."""
        notes = _notes(self._file(piece))
        try:
            with safe_open(self._file(piece), "pt") as held:
                tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return False
        return notes.get("made") == self.made and notes.get("sha256") == _checksum(tensors)

    def state(self, piece: range, place: int) -> dict[str, Tensor]:
        """What the metric at `place` kept of `piece`."""
        names: Mapping[str, str] = json.loads(_notes(self._file(piece))["names"])[place]
        with safe_open(self._file(piece), "pt") as held:
            return {column: held.get_tensor(name) for column, name in names.items()}

    def ended(self, piece: range) -> dict[str, int]:
        """How many rows of `piece` ended in which way."""
        found: dict[str, int] = json.loads(_notes(self._file(piece)).get("ended", "{}"))
        return found

    def _file(self, piece: range) -> Path:
        return self.root / f"piece-{piece.start:08d}-{piece.stop:08d}.safetensors"


def _notes(file: Path) -> dict[str, str]:
    try:
        with safe_open(file, "pt") as held:
            return held.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def _checksum(tensors: State) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
