"""The reference that samples are compared with: features of a split, or their moments, cached.

A reference file holds tensors, their checksum, and the settings that they were computed with.  It
can be copied to another machine and given to a metric as `reference_file`.
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
    "Content",
    "Reference",
    "ReferenceSplit",
    "evenly",
    "load_reference",
    "require_reference_file",
    "save_reference",
]

ReferenceSplit = Literal["train", "test"]
Content = Literal["moments", "features"]

BATCH = 256
"""Images read at a time; features do not depend on it."""


@final
@dataclass(frozen=True)
class Reference:
    """The features of `count` examples of `data` (all if None), evenly spread.

    `space` is everything about `features` that would change them.  It is part of the name of the
    file in the cache, and a file given must agree with it.
    """

    data: Dataset
    features: Callable[[Tensor], Tensor]
    space: Mapping[str, Any]
    count: int | None = None

    @property
    def length(self) -> int:
        """The number of examples to compare with."""
        whole = self.data.length
        return whole if self.count is None else min(self.count, whole)

    @property
    def provenance(self) -> dict[str, Any]:
        """The settings that are recorded in the file."""
        return {
            **self.space,
            "reference_split": self.data.split,
            "reference_data": self.data.fingerprint,
            "reference_count": self.length,
            "reference_flips": "none",
        }

    def moments(self, cache: Path, file: str | Path | None = None) -> Moments:
        """Return mean and covariance of the features, from `file` if given, else from `cache`.

        If the cache does not hold them, they are computed and stored there.
        """
        stored = self._load_or_compute("moments", cache, file, self._compute_moments)
        return Moments(self.length, stored["mean"], stored["scatter"])

    def rows(self, cache: Path, file: str | Path | None = None) -> Tensor:
        """Return the features themselves, `(length, d)` float32; stored as `moments` are."""
        return self._load_or_compute("features", cache, file, self._compute_rows)["features"]

    def file_name(self, content: Content) -> str:
        """Return the name of the file in the cache."""
        settings = _json({"holds": content, **self.provenance})
        digest = hashlib.blake2b(settings.encode(), digest_size=8).hexdigest()
        return f"{self.space['extractor']}-{content}-{digest}.safetensors"

    def _load_or_compute(
        self,
        content: Content,
        cache: Path,
        given: str | Path | None,
        compute: Callable[[], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        settings = {"holds": content, **self.provenance}
        if given is not None:
            return load_reference(Path(given), settings)
        file = cache / self.file_name(content)
        try:
            return load_reference(file, settings)
        except DataError:  # absent or corrupt
            tensors = compute()
            save_reference(file, tensors, settings)
            return tensors

    def _compute_moments(self) -> dict[str, Tensor]:
        moments = Moments.merged(Moments.of(features) for features in self._batches())
        return {"mean": moments.mean, "scatter": moments.scatter}

    def _compute_rows(self) -> dict[str, Tensor]:
        return {"features": torch.cat(list(self._batches()))}

    def _batches(self) -> Iterator[Tensor]:
        length = self.length
        chosen = evenly(length, self.data.length)
        for first in range(0, length, BATCH):
            last = min(first + BATCH, length)
            yield self.features(self.data.batch(chosen[first:last])["x1"])


def evenly(count: int, length: int) -> list[int]:
    """Return `count` indices evenly spread over `length` examples, which may be sorted by class."""
    return [i * length // count for i in range(count)]


def save_reference(file: Path, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
    """Write a reference file atomically.  Raises DataError if it cannot be written."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    notes = {"fmcore_reference": _json(settings), "sha256": _checksum(tensors)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, notes)
        part.replace(file)
    except (OSError, SafetensorError) as error:
        if part.is_file():
            part.unlink()
        raise DataError(f"the reference statistics cannot be written to {file}: {error}") from error


def load_reference(file: Path, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a reference file.

    Raises DataError if it cannot be read, is corrupt, or was computed with other settings than
    `settings`, with the differences.
    """
    tensors, found = _read(file)
    _require_same(file, found, json.loads(_json(settings)))
    _require_shapes(file, tensors, settings)
    return tensors


def require_reference_file(file: Path) -> None:
    """Raise DataError unless `file` is a valid reference file.

    For the time before training, when not all settings that it must agree with are known.
    """
    _read(file)


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the settings that they were computed with."""
    if not file.is_file():
        raise DataError(f"there is no reference file {file}")
    try:
        with safe_open(file, framework="pt") as opened:
            notes = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except Exception as error:  # many types, for a corrupt header or a dtype unknown to torch
        raise DataError(f"the reference file {file} is unreadable: {error}") from error
    if "fmcore_reference" not in notes:
        raise DataError(f"{file} is no reference file of fmcore")
    integers = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if integers or notes.get("sha256") != _checksum(tensors):
        raise DataError(f"the reference file {file} is damaged: its checksum does not hold")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise DataError(f"the reference file {file} holds values that are not finite")
    try:
        settings = json.loads(notes["fmcore_reference"])
    except (ValueError, RecursionError) as error:
        raise DataError(f"the reference file {file} is damaged: {error}") from error
    if not isinstance(settings, dict):
        raise DataError(f"the reference file {file} is damaged: its settings are no JSON object")
    return tensors, settings


def _require_shapes(file: Path, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
    """Raise DataError unless there is a row of features per example, or their mean and scatter."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    width = next(iter(shapes.get("features", shapes.get("mean", ()))[-1:]), 0)
    rows = {"features": (settings.get("reference_count"), width)}
    moments = {"mean": (width,), "scatter": (width, width)}
    if shapes != (moments if settings.get("holds") == "moments" else rows):
        raise DataError(
            f"the reference file {file} holds other tensors than {settings.get('holds')}"
        )


def _require_same(file: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differences = [
        f"{key}: {found.get(key, 'absent')} in the file, {wanted.get(key, 'absent')} wanted"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
    if differences:
        raise DataError(
            f"the reference file {file} was computed with other settings:\n  "
            + "\n  ".join(differences)
        )


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True)


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
