"""Versions of Python, fmcore and its dependencies; the unrelated distribution named fmcore."""

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
    """Check what is installed, and that torch and torchvision can be imported."""
    yield Finding(TOPIC, "python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _fmcore()
    yield from _unrelated_fmcore()
    if _version("fmcore-flow") is None:  # its metadata names the dependencies
        return
    for requirement in metadata.requires("fmcore-flow") or ():
        if "extra ==" not in requirement:
            yield _dependency(requirement)
    yield _torchvision()


def _fmcore() -> Finding:
    version = _version("fmcore-flow")
    if version is None:
        return Finding(TOPIC, "fmcore", "broken", "not installed: pip install fmcore-flow")
    return Finding(TOPIC, "fmcore", "ok", f"{version} (distribution fmcore-flow)")


def _unrelated_fmcore() -> Iterator[Finding]:
    """Check for the distribution named `fmcore`: another project, with the same import name."""
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
    """Check torchvision: torch-fidelity needs it, and each build fits one version of torch."""
    version = _version("torchvision")
    if version is None:
        return Finding(TOPIC, "torchvision", "note", "not installed: torch-fidelity needs it")
    if reason := _cannot_import("torchvision"):
        text = (
            f"{version} does not fit torch {_version('torch')} ({reason}): what needs its compiled "
            "operators fails; install the torchvision that is built for this torch"
        )
        return Finding(TOPIC, "torchvision", "note", text)
    return Finding(TOPIC, "torchvision", "ok", version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cannot_import(module: str) -> str:
    """Return why `module` cannot be imported; empty if it can."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a binary for another version raises any exception
        return describe(error)[0]
    return ""
