"""Tensors from a stranger's file, read without running anything of theirs."""

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
    """What a file holds: tensors by name, some perhaps in mappings; and `source`, for provenance:
    the file's name and its SHA-256.
    """

    found: dict[str, Any]
    source: str


def read_weights(file: FilePath) -> Weights:
    """The tensors of a `.safetensors` file, or of what torch.save wrote.

    Raises DataError for a file that is missing or damaged, or that holds more than tensors and
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
            f"{file}: torn, or not a safetensors file ({error}): fetch it again"
        ) from error


def _saved(file: FilePath) -> dict[str, Any]:
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{file}: holds more than tensors, or is damaged; refused, for reading it could run "
            "anything: where you trust it, save its state dict alone (torch.save of "
            "model.state_dict(), or safetensors)"
        ) from error
    except Exception as error:  # a damaged file may raise anything
        raise DataError(f"{file}: torn, or not a file of torch.save: fetch it again") from error
    if not isinstance(found, dict):
        raise DataError(f"{file}: holds a {type(found).__name__}, not a state dict")
    return found
