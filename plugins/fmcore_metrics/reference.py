"""What samples are compared with: features of a split, or their moments, computed once and kept.

A reference file holds tensors, a checksum of them, and how they were made; it can be handed on and
given to a metric as `reference_file`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fmcore import DataError, Dataset
from fmcore_metrics.moments import Moments

__all__ = [
    "Reference",
    "ReferenceSplit",
    "evenly",
    "load_reference",
    "require_reference_file",
    "save_reference",
]

ReferenceSplit = Literal["train", "test"]
Holds = Literal["moments", "features"]

BATCH = 256
"""Images read at a time; features do not depend on it."""


@final
@dataclass(frozen=True)
class Reference:
    """`count` examples of `data` (all if None), evenly spread, seen through `features`.

    `made` is everything that would change them: it names the file in the cache, and a file given
    must agree with it.
    """

    data: Dataset
    features: Callable[[Tensor], Tensor]
    made: Mapping[str, Any]
    count: int | None = None

    @property
    def length(self) -> int:
        """How many examples there are to compare with."""
        whole = self.data.length
        return whole if self.count is None else min(self.count, whole)

    @property
    def provenance(self) -> dict[str, Any]:
        """What the file says of how it was made."""
        return {
            **self.made,
            "reference_split": self.data.split,
            "reference_data": self.data.fingerprint,
            "reference_count": self.length,
            "reference_flips": "none",
        }

    def moments(self, cache: Path, file: str | None = None) -> Moments:
        """Mean and covariance of the features: from `file` if given, else from `cache`, else
        computed and kept there.
        """
        kept = self._kept("moments", cache, file, self._computed_moments)
        return Moments(self.length, kept["mean"], kept["scatter"])

    def rows(self, cache: Path, file: str | None = None) -> Tensor:
        """The features themselves, `(length, d)` float32; found as `moments` are."""
        return self._kept("features", cache, file, self._computed_rows)["features"]

    def file(self, holds: Holds) -> str:
        """What the file in the cache is called: to be found there, and handed on."""
        name = hashlib.blake2b(_json({"holds": holds, **self.provenance}).encode(), digest_size=8)
        return f"{self.made['extractor']}-{holds}-{name.hexdigest()}.safetensors"

    def _kept(
        self,
        what: Holds,
        cache: Path,
        given: str | None,
        compute: Callable[[], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        made = {"holds": what, **self.provenance}
        if given is not None:
            return load_reference(Path(given), made)
        file = cache / self.file(what)
        try:
            return load_reference(file, made)
        except DataError:  # not there, or torn: made again
            tensors = compute()
            save_reference(file, tensors, made)
            return tensors

    def _computed_moments(self) -> dict[str, Tensor]:
        moments = Moments.merged(Moments.of(features) for features in self._batches())
        return {"mean": moments.mean, "scatter": moments.scatter}

    def _computed_rows(self) -> dict[str, Tensor]:
        return {"features": torch.cat(list(self._batches()))}

    def _batches(self) -> Iterator[Tensor]:
        length = self.length
        chosen = evenly(length, self.data.length)
        for first in range(0, length, BATCH):
            last = min(first + BATCH, length)
            yield self.features(self.data.batch(chosen[first:last])["x1"])


def evenly(count: int, length: int) -> list[int]:
    """`count` indices spread over `length` examples, which may be sorted by class."""
    return [i * length // count for i in range(count)]


def save_reference(file: Path, tensors: Mapping[str, Tensor], made: Mapping[str, Any]) -> None:
    """Write a reference file, whole or not at all.  Raises DataError if it cannot be written."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    notes = {"fmcore_reference": _json(made), "sha256": _checksum(tensors)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, notes)
        part.replace(file)
    except (OSError, SafetensorError) as error:
        if part.is_file():
            part.unlink()
        raise DataError(f"the reference statistics cannot be written to {file}: {error}") from error


def load_reference(file: Path, made: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a reference file.

    Raises DataError if it cannot be read, if its content is damaged, or if it was made otherwise
    than `made`, telling in what.
    """
    tensors, found = _opened(file)
    _require_same(file, found, json.loads(_json(made)))
    _require_shapes(file, tensors, made)
    return tensors


def require_reference_file(file: Path) -> None:
    """Raise DataError unless `file` is a reference file, whole: told before training, when what it
    must have been made of is not known in full.
    """
    _opened(file)


def _opened(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, and how they were made."""
    if not file.is_file():
        raise DataError(f"there is no reference file {file}")
    try:
        with safe_open(file, framework="pt") as opened:
            notes = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except Exception as error:  # of a damaged header, and of types that torch does not have
        raise DataError(f"the reference file {file} is unreadable: {error}") from error
    if "fmcore_reference" not in notes:
        raise DataError(f"{file} is no reference file of fmcore")
    strange = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if strange or notes.get("sha256") != _checksum(tensors):
        raise DataError(f"the reference file {file} is damaged: its checksum does not hold")
    try:
        made = json.loads(notes["fmcore_reference"])
    except (ValueError, RecursionError) as error:
        raise DataError(f"the reference file {file} is damaged: {error}") from error
    if not isinstance(made, dict):
        raise DataError(f"the reference file {file} does not say how it was made")
    return tensors, made


def _require_shapes(file: Path, tensors: Mapping[str, Tensor], made: Mapping[str, Any]) -> None:
    """One row of features an example, or their mean and scatter."""
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    width = next(iter(held.get("features", held.get("mean", ()))[-1:]), 0)
    rows = {"features": (made.get("reference_count"), width)}
    moments = {"mean": (width,), "scatter": (width, width)}
    if held != (moments if made.get("holds") == "moments" else rows):
        raise DataError(f"the reference file {file} holds other tensors than {made.get('holds')}")


def _require_same(file: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    apart = [
        f"{key}: {found.get(key, 'not told')} in the file, {wanted.get(key, 'not told')} wanted"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
    if apart:
        raise DataError(f"the reference file {file} was made otherwise:\n  " + "\n  ".join(apart))


def _json(made: Mapping[str, Any]) -> str:
    return json.dumps(dict(made), sort_keys=True)


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
