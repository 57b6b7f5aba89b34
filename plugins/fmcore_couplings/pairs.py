"""Pairs of x0 and x1 from a file: for reflow, or for any paired data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge
from safetensors.torch import load_file
from torch import Tensor

from fmcore import ConditionSpec, DataError, Dataset, Euclidean, Space

__all__ = ["Pairs"]

FLAT = Euclidean()

MOST_CLASSES = 1_000_000
"""The largest number of classes: a network has a row of weights for each, and no dataset more."""


@final
@dataclass(frozen=True)
class Pairs(Dataset):
    """The tensors `x0` and `x1` of a safetensors file, `(length, *shape)`; further tensors, such as
    `label`, are conditions.

    The last `held_out` pairs are the split `test`, the others `train`.  `points` is the space that
    both are in, R^n by default: that of the data of the flow that made them.
    """

    file: Path
    held_out: Annotated[int, Ge(0)] = 0
    points: Space = FLAT

    @property
    def space(self) -> Space:
        return self.points

    @property
    def pairs(self) -> bool:
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._tensors["x1"].shape[1:])

    @property
    def classes(self) -> int:
        label = self._tensors.get("label")
        return 0 if label is None or not len(label) else int(label.max()) + 1

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        others = {k: v for k, v in self._tensors.items() if k not in ("x0", "x1", "label")}
        return {
            **super().entries,
            **{k: ConditionSpec(tuple(v.shape[1:]), _dtype(v)) for k, v in others.items()},
        }

    @property
    def length(self) -> int:
        return len(self._rows)

    @property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=8)
        digest.update(f"{self.split} {self.held_out} ".encode())
        for name, tensor in sorted(self._tensors.items()):
            digest.update(name.encode() + str(tuple(tensor.shape)).encode())
            digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        rows = torch.tensor([self._rows[i] for i in indices], dtype=torch.long)
        return {name: tensor[rows] for name, tensor in self._tensors.items()}

    @property
    def _rows(self) -> range:
        n = len(self._tensors["x1"])
        if self.held_out >= n:
            raise DataError(f"{self.file}: held_out must be below its {n} pairs")
        first_held_out = n - self.held_out
        return range(first_held_out) if self.split == "train" else range(first_held_out, n)

    @property
    def _tensors(self) -> dict[str, Tensor]:
        return _read(self.file)


def _dtype(tensor: Tensor) -> Literal["float32", "int64", "bool"]:
    if tensor.dtype == torch.bool:
        return "bool"
    return "float32" if tensor.is_floating_point() else "int64"


@lru_cache(maxsize=4)
def _read(file: str | Path) -> dict[str, Tensor]:
    if not Path(file).is_file():
        raise DataError(
            f"no file {file}: write it with fmcore.write_pairs, and set data.file to it"
        )
    try:
        tensors = load_file(file)
    except Exception as error:  # many types, for a corrupt header or a dtype unknown to torch
        raise DataError(f"{file} is not a whole safetensors file: {error}") from error
    if "x0" not in tensors or "x1" not in tensors:
        raise DataError(f"{file} must hold x0 and x1; it holds {', '.join(sorted(tensors))}")
    if tensors["x0"].shape != tensors["x1"].shape:
        raise DataError(
            f"{file}: x0 and x1 must have one shape, got {tuple(tensors['x0'].shape)} and "
            f"{tuple(tensors['x1'].shape)}"
        )
    _check(file, tensors)
    return tensors


def _check(file: str | Path, tensors: dict[str, Tensor]) -> None:
    """Raise DataError unless x0 and x1 are floating-point and all tensors have a row per pair."""
    rows = tensors["x1"].shape[:1]
    if not rows or any(tensor.shape[:1] != rows for tensor in tensors.values()):
        raise DataError(f"{file}: every tensor must have one row per pair")
    if not (tensors["x0"].is_floating_point() and tensors["x1"].is_floating_point()):
        raise DataError(f"{file}: x0 and x1 must be floating-point numbers")
    label = tensors.get("label")
    if label is None:
        return
    valid = label.dtype == torch.int64 and label.dim() == 1
    if valid and label.numel():
        valid = 0 <= int(label.min()) <= int(label.max()) < MOST_CLASSES
    if not valid:
        raise DataError(f"{file}: label must hold one class, 0 .. {MOST_CLASSES - 1}, per pair")
