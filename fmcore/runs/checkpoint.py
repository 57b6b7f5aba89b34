"""Checkpoints: tensors in a safetensors file, and a JSON file with their checksum.

The JSON is written last: its presence means that the tensors were written completely, its checksum
detects later damage.  Reading executes no code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import CheckpointError
from fmcore.runs.files import atomic, json_object, sha256_of, tensors_in, write_json

__all__ = ["Checkpoint", "CheckpointFolder", "load_into", "require_fitting"]


@final
@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after `step` steps: named tensors on the CPU, and `facts` as JSON."""

    step: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors called `name/...`, without that prefix."""
        prefix = f"{name}/"
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


@final
@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of a run; `warn` is called with a line for each corrupt one skipped."""

    root: Path
    warn: Callable[[str], None] = print

    def save(self, checkpoint: Checkpoint, keep: int | None, keep_every: int | None = None) -> Path:
        """Write a checkpoint atomically, then remove old ones.

        The newest `keep` stay (None: all), those at multiples of `keep_every`, and the best.
        """
        path = self._tensors(checkpoint.step)
        tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
        atomic(path, lambda part: save_file(tensors, part))
        write_json(
            path.with_suffix(".json"),
            {"step": checkpoint.step, "sha256": sha256_of(path), "facts": dict(checkpoint.facts)},
        )
        self._prune(keep, keep_every)
        return path

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, valid or not, in ascending order."""
        found = (
            re.fullmatch(r"step-([0-9]{9,15})", path.stem) for path in self.root.glob("*.json")
        )
        return sorted(int(match[1]) for match in found if match is not None)

    @property
    def best(self) -> int | None:
        """The step marked as best, or None; its checkpoint may not be saved yet."""
        if not self._best_file.exists():
            return None
        return int(_facts(self._best_file).get("step", -1))

    def mark_best(self, step: int | None, facts: Mapping[str, Any] | None = None) -> None:
        """Mark the checkpoint of `step` as the best (None: remove the mark), with its `facts`.

        Call it before that checkpoint is saved, so that the previous best stays until then.
        """
        if step is None:
            self._best_file.unlink(missing_ok=True)
        else:
            write_json(self._best_file, {"step": step, **(facts or {})})

    def latest(self) -> Checkpoint | None:
        """Return the newest valid checkpoint, or None if there are none.

        Corrupt ones are skipped with a warning.  Raises CheckpointError if all are corrupt.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self.load(step)
            except CheckpointError as error:
                self.warn(f"warning: {error}; falling back to the checkpoint before it")
        if steps:
            raise CheckpointError(
                f"{self.root}: no checkpoint is valid; delete the folder to train from the start"
            )
        return None

    def sha256(self, step: int) -> str:
        """Return the recorded checksum of the checkpoint of `step`.  Raises CheckpointError."""
        return str(_facts(self._tensors(step).with_suffix(".json")).get("sha256"))

    def load(self, step: int) -> Checkpoint:
        """Return the checkpoint of `step`.

        Raises CheckpointError if it is missing, corrupt or not a checkpoint.
        """
        path = self._tensors(step)
        facts = _facts(path.with_suffix(".json"))
        if not path.is_file():
            raise CheckpointError(f"{path}: the tensors are missing")
        if sha256_of(path) != facts.get("sha256"):
            raise CheckpointError(f"{path}: corrupt: its checksum differs from the recorded one")
        try:
            tensors = tensors_in(path)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from error
        inner = facts.get("facts", {})
        if not isinstance(inner, dict):
            raise CheckpointError(f"{path.with_suffix('.json')}: not a checkpoint's description")
        return Checkpoint(step=step, tensors=tensors, facts=inner)

    def _tensors(self, step: int) -> Path:
        return self.root / f"step-{step:09d}.safetensors"

    @property
    def _best_file(self) -> Path:
        return self.root / "best.json"

    def _prune(self, keep: int | None, every: int | None) -> None:
        old = [] if keep is None else self.steps()[:-keep]
        best = self.best
        for step in [s for s in old if s != best and (every is None or s % every)]:
            # The JSON first: a crash between the two leaves tensors without a description, which
            # are ignored; a description without tensors would count as a corrupt checkpoint.
            self._tensors(step).with_suffix(".json").unlink(missing_ok=True)
            self._tensors(step).unlink(missing_ok=True)
        for orphan in self.root.glob("step-*.safetensors"):
            if not orphan.with_suffix(".json").exists():
                orphan.unlink(missing_ok=True)


def _facts(path: Path) -> dict[str, Any]:
    try:
        return json_object(path)
    except ValueError as error:
        raise CheckpointError(f"{path}: unreadable: {error}") from error


def load_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy `tensors` into `module`.  Raises CheckpointError, naming `where` they are from, if their
    names or shapes differ.
    """
    require_fitting(module, tensors, where)
    module.load_state_dict(dict(tensors))


def require_fitting(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise CheckpointError if names or shapes of `tensors` differ from those of `module`."""
    own = module.state_dict()
    wrong = [k for k in own if k not in tensors or tensors[k].shape != own[k].shape]
    wrong += [k for k in tensors if k not in own]
    if wrong:
        raise CheckpointError(
            f"{where}: the weights are of another network: {len(wrong)} tensors do not fit, "
            f"the first is '{wrong[0]}'"
        )
