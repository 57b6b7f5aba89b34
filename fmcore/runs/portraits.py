"""The portraits of samples on disk: files NNNN.SUFFIX, and portraits.json with their captions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from fmcore.errors import RunError
from fmcore.interfaces.portrait import Portrait
from fmcore.runs.files import atomic, write_json

__all__ = ["read_portraits", "write_portraits"]

INDEX = "portraits.json"
NAME = re.compile(r"[0-9]{4,8}\.[a-z0-9]{1,8}")
MAX_INDEX_BYTES = 2**20


def write_portraits(root: Path, portraits: Sequence[Portrait]) -> None:
    """Write each portrait into the folder `root`, and remove those written before.

    Raises RunError if there are any and the folder is a link.
    """
    names = [f"{i:04d}.{portrait.suffix}" for i, portrait in enumerate(portraits)]
    for file, _ in read_portraits(root):
        if root.is_symlink():
            raise RunError(
                f"{root}: is a link, and nothing is deleted through one: remove the link"
            )
        if file.name not in names:
            file.unlink()
    for name, portrait in zip(names, portraits, strict=True):
        content = portrait.content
        atomic(root / name, lambda part, content=content: part.write_bytes(content))  # type: ignore[misc]
    captions = [portrait.caption for portrait in portraits]
    if names or (root / INDEX).exists():
        write_json(root / INDEX, dict(zip(names, captions, strict=True)))


def read_portraits(root: Path) -> list[tuple[Path, str]]:
    """Return the files of the portraits in `root`, each with its caption; none if portraits.json is
    missing or corrupt.
    """
    index = root / INDEX
    try:
        if not index.is_file() or index.stat().st_size > MAX_INDEX_BYTES:
            return []
        found = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    # an edited index must not name a file outside the folder
    named = [(root / n, str(c)) for n, c in found.items() if NAME.fullmatch(n)]
    return [(file, caption) for file, caption in named if file.is_file()]
