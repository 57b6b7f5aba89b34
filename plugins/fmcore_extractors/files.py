"""Files of weights, read only if their checksum is right."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch
from torch import Tensor

from fmcore import DataError

__all__ = ["checked_bytes", "read_tensors"]


def checked_bytes(file: str | Path, sha256: str, what: str) -> bytes:
    """Return the content of `file`, which holds `what` (plural, for messages).

    Raises DataError if it cannot be read or its hash is not `sha256`.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{what} cannot be read: {file}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"{what} are not what they should be: {file} has sha256 {found}, expected {sha256}; "
            "fetch the file again"
        )
    return content


def read_tensors(content: bytes) -> dict[str, Tensor]:
    """Return a state dict saved by torch.save; no code in the bytes is executed.

    Raises DataError if they hold anything but tensors by name.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many types for a corrupt file
        raise DataError(f"the weights are not a plain state dict: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise DataError("the weights are not a plain state dict of tensors")
    return dict(state)
