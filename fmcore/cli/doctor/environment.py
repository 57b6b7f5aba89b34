"""Optional packages, the cache, and shell completion."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from fmcore.cli.completion import INSTALL, NOW
from fmcore.cli.doctor.finding import Finding
from fmcore.registry.needs import missing, pip_line
from fmcore.runs.cache import CACHE, cache_folder

__all__ = ["environment"]

TOPIC = "environment"

DEVELOPERS = {"test", "docs", "dev"}
"""Extras for the development of fmcore, which users do not need."""

START_FILES = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}


def environment() -> Iterator[Finding]:
    """Check the packages of each extra, the cache, and completion."""
    for requirement in metadata.requires("fmcore-flow") or ():
        found = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if found and found[1] not in DEVELOPERS:
            yield _optional(requirement.partition(";")[0].strip(), found[1])
    yield _cache(cache_folder())
    yield _completion(Path(os.environ.get("SHELL", "")).name)


def _optional(requirement: str, extra: str) -> Finding:
    name = re.split(r"[^\w.-]", requirement)[0]
    if missing([requirement]):
        text = f"not installed; the extra '{extra}' needs it: {pip_line([f'fmcore-flow[{extra}]'])}"
        return Finding(TOPIC, name, "note", text)
    return Finding(TOPIC, name, "ok", f"{metadata.version(name)}, of the extra '{extra}'")


def _cache(folder: Path) -> Finding:
    """Check the folder that caches statistics of reference data, which metrics compute once."""
    origin = f"set by {CACHE}" if os.environ.get(CACHE) else f"{CACHE} sets another folder"
    if not folder.is_dir():
        return Finding(TOPIC, "cache", "ok", f"{folder}: created when a metric needs it; {origin}")
    if not os.access(folder, os.W_OK):
        text = f"{folder} cannot be written: set {CACHE} to a folder that can be written"
        return Finding(TOPIC, "cache", "broken", text)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Finding(TOPIC, "cache", "ok", f"{folder}: {size / 2**20:.1f} MiB; {origin}")


def _completion(shell: str) -> Finding:
    if shell not in INSTALL:
        text = f"for {', '.join(INSTALL)}: see fmcore completion --help"
        return Finding(TOPIC, "completion", "note", text)
    start = Path.home() / START_FILES[shell]
    file = Path(INSTALL[shell].partition("> ")[2].split(" ")[0]).expanduser()
    in_start = start.is_file() and "fmcore completion" in start.read_text("utf-8", "replace")
    if in_start or file.is_file():
        return Finding(TOPIC, "completion", "ok", f"set up for {shell}")
    text = f"not set up; add to ~/{START_FILES[shell]}: {NOW[shell]}"
    return Finding(TOPIC, "completion", "note", text)
