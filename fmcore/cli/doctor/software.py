"""Versions: Python, fmcore and what it depends on, and whether the wrong fmcore is installed."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from fmcore.cli.doctor.finding import Finding
from fmcore.registry.failure import describe
from fmcore.registry.needs import missing, pip_line

__all__ = ["software"]

TOPIC = "software"


def software() -> Iterator[Finding]:
    """What is installed, and whether it can be imported."""
    yield Finding(TOPIC, "python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _fmcore()
    yield from _impostor()
    for requirement in metadata.requires("fmcore-flow") or ():
        if "extra ==" not in requirement:
            yield _dependency(requirement)
    yield _torchvision()


def _fmcore() -> Finding:
    version = _version("fmcore-flow")
    if version is None:
        return Finding(TOPIC, "fmcore", "broken", "not installed: pip install fmcore-flow")
    return Finding(TOPIC, "fmcore", "ok", f"{version} (distribution fmcore-flow)")


def _impostor() -> Iterator[Finding]:
    """The distribution *named* fmcore is another project's, with the same import name."""
    if version := _version("fmcore"):
        text = (
            f"the distribution 'fmcore' {version} is an unrelated project with the same import "
            "name: pip uninstall fmcore, then pip install --force-reinstall fmcore-flow"
        )
        yield Finding(TOPIC, "fmcore (unrelated)", "broken", text)


def _dependency(requirement: str) -> Finding:
    from packaging.requirements import Requirement

    name = Requirement(requirement).name
    if missing([requirement]):
        found = _version(name) or "not installed"
        text = f"{found}, but fmcore needs {requirement}: {pip_line([requirement])}"
        return Finding(TOPIC, name, "broken", text)
    if name == "torch" and (reason := _cannot_import(name)):
        return Finding(TOPIC, name, "broken", f"{_version(name)} cannot be imported: {reason}")
    return Finding(TOPIC, name, "ok", str(_version(name)))


def _torchvision() -> Finding:
    """It comes with torch-fidelity, and is built for one torch; fmcore has no other use for it."""
    version = _version("torchvision")
    if version is None:
        return Finding(TOPIC, "torchvision", "note", "not installed: torch-fidelity needs it")
    if reason := _cannot_import("torchvision"):
        beside = f"{version} is not made for torch {_version('torch')}"
        text = f"{beside} ({reason}): what needs its compiled part will not work"
        return Finding(TOPIC, "torchvision", "note", text)
    return Finding(TOPIC, "torchvision", "ok", version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cannot_import(module: str) -> str:
    """Why `module` cannot be imported; empty if it can."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a mismatched binary raises whatever it likes
        return describe(error)[0]
    return ""
