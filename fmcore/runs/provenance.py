"""The environment of a run: versions, source commit, plugins, machine."""

from __future__ import annotations

import contextlib
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
    """Return versions, git commit of fmcore, plugins, command and machine, as JSON."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git_commit(),
        "plugins": _plugins(),
        "command": sys.argv,
        "machine": _machine(device),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _plugins() -> dict[str, str]:
    """Return the version of each plugin; that of a one-file plugin is its hash."""
    return {plugin.name: plugin.version for plugin in registry().plugins}


def _git_commit() -> str | None:
    """Return the commit of fmcore's own checkout, `+` added if files differ from it.

    None where fmcore is installed, also inside the repository of another project.
    """
    package = Path(__file__).parents[1]
    try:
        # An installed fmcore may lie in any repository, for example in a .venv of one: the commit
        # counts only if that repository tracks the package itself.
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD")
        return commit + ("+" if _git(package, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    # without optional locks: `git status` would refresh the index, and block the user's own git
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        env=environment,
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
