"""What is around fmcore: optional packages, folders where things are kept, the shell."""

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

__all__ = ["around"]

DEVELOPERS = {"test", "docs", "dev"}
"""Extras that nobody needs who only uses fmcore."""

START_FILES = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}


def around() -> Iterator[Finding]:
    """Each extra's packages, the cache, and completion."""
    for requirement in metadata.requires("fmcore-flow") or ():
        found = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if found and found[1] not in DEVELOPERS:
            yield _optional(requirement.partition(";")[0].strip(), found[1])
    yield _cache(cache_folder())
    yield _completion(Path(os.environ.get("SHELL", "")).name)


def _optional(requirement: str, extra: str) -> Finding:
    name = re.split(r"[^\w.-]", requirement)[0]
    if missing([requirement]):
        text = f"not installed, for the extra '{extra}': {pip_line([f'fmcore-flow[{extra}]'])}"
        return Finding("optional", name, "note", text)
    return Finding("optional", name, "ok", f"{metadata.version(name)}, extra '{extra}'")


def _cache(folder: Path) -> Finding:
    """Statistics of reference data, which metrics compute once."""
    if not folder.is_dir():
        text = f"{folder}: made when it is needed; {CACHE} names another folder"
        return Finding("optional", "cache", "ok", text)
    if not os.access(folder, os.W_OK):
        text = f"{folder} cannot be written: set {CACHE} to a folder that can"
        return Finding("optional", "cache", "broken", text)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Finding("optional", "cache", "ok", f"{folder}: {size / 2**20:.1f} MiB")


def _completion(shell: str) -> Finding:
    if shell not in INSTALL:
        text = f"for {', '.join(INSTALL)}: see fmcore completion --help"
        return Finding("optional", "completion", "note", text)
    start = Path.home() / START_FILES[shell]
    file = Path(INSTALL[shell].partition("> ")[2].split(" ")[0]).expanduser()
    said = start.is_file() and "fmcore completion" in start.read_text("utf-8", "replace")
    if said or file.is_file():
        return Finding("optional", "completion", "ok", f"set up for {shell}")
    text = f"not set up; add to ~/{START_FILES[shell]}: {NOW[shell]}"
    return Finding("optional", "completion", "note", text)
