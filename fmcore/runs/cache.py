"""The folder of data computed once for all runs, such as statistics of reference data."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CACHE", "cache_folder"]

CACHE = "FMCORE_CACHE"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """Return `$FMCORE_CACHE`, else `fmcore` in the user's cache folder; it may not exist yet."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fmcore"
