"""What a run was made with: versions, source, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from fmcore.registry import registry

__all__ = ["environment"]

PACKAGES = (
    "fmcore-flow",
    "torch",
    "numpy",
    "scipy",
    "torchdiffeq",
    "torch-fidelity",
    "accelerate",
    "safetensors",
)


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, git commit of the code, plugins, and the machine, as JSON."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git_commit(),
        "plugins": _plugins(),
        "command": sys.argv,
        "machine": _machine(device),
    }


def _versions() -> dict[str, str]:
    known = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    return {name: known[name] for name in PACKAGES if name in known}


def _plugins() -> dict[str, str]:
    """Plugin name -> version; a one-file plugin's version is its hash."""
    return {plugin.name: plugin.version for plugin in registry().plugins}


def _git_commit() -> str | None:
    """The commit of this checkout, with `+` if files differ from it; None outside one."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _machine(device: torch.device) -> dict[str, Any]:
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine()
    )
    return {
        "platform": platform.platform(),
        "device": device.type,
        "device_name": name,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
