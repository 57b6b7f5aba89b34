"""Tensors from an untrusted file, read without executing code from it."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fmcore import DataError

__all__ = ["Weights", "read_weights"]


@final
@dataclass(frozen=True)
class Weights:
    """The content of a weights file: tensors by name, possibly in nested mappings.

    `source` is the file's name and SHA-256, for provenance.
    """

    found: dict[str, Any]
    source: str


def read_weights(file: FilePath) -> Weights:
    """Return the tensors of a `.safetensors` file or of a file written by torch.save.

    Raises DataError for a file that is missing or corrupt, or that holds anything but tensors and
    plain values.
    """
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    found = _safe(file) if file.suffix == ".safetensors" else _saved(file)
    return Weights(found, f"{file.name}, sha256 {digest[:16]}")


def _safe(file: FilePath) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, ValueError) as error:
        raise DataError(
            f"{file}: corrupt, or not a safetensors file ({error}): download it again"
        ) from error


def _saved(file: FilePath) -> dict[str, Any]:
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{file}: holds more than tensors, or is corrupt; refused, since reading it could "
            "execute code: if you trust it, save its state dict alone (torch.save of "
            "model.state_dict(), or safetensors)"
        ) from error
    except Exception as error:  # a corrupt file can raise any exception
        raise DataError(
            f"{file}: corrupt, or not written by torch.save: download it again"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{file}: holds a {type(found).__name__}, not a state dict")
    return found
