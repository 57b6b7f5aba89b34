"""Read and add to files of a folder that a stranger may have filled.

Nothing that is read is believed to be what it should be, and nothing is written through a link: a
`log.txt` that points to a file of the reader's would have lines added there.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from torch import Tensor

__all__ = ["json_object", "opened_for_adding", "tensors_in"]


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.  Raises ValueError, saying why, for anything else.

    A link to a device, which would never end, is no file here.
    """
    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(value, dict):
        raise ValueError("should hold a JSON object")
    return value


def tensors_in(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.  Raises ValueError, saying why, for anything else."""
    from safetensors.torch import load_file

    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        return load_file(path)
    except Exception as error:  # of a damaged header, and of types that torch does not have
        raise ValueError(f"not a safetensors file: {error}") from error


@contextmanager
def opened_for_adding(path: Path) -> Iterator[BinaryIO]:
    """`path`, made if need be, to write at its end.  Raises OSError if it is a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "ab", buffering=0) as stream:
        yield stream
