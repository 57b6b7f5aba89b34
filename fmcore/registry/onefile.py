"""Plugins of one file, named on the command line with `--plugin FILE`."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path
from types import ModuleType

from fmcore.errors import PluginError
from fmcore.registry.discovery import Plugin
from fmcore.registry.failure import describe
from fmcore.registry.hooks import Collected, collect

__all__ = ["load_file"]


def load_file(file: Path) -> tuple[Plugin, Collected]:
    """Run `file` as a module and call its hooks.

    The plugin is called as the file is, without its suffix; its version is the beginning of the
    file's SHA-256. Whoever names a file wants it: anything wrong with it raises PluginError.
    """
    source = _read(file)
    sha256 = hashlib.sha256(source).hexdigest()
    plugin = Plugin(file.stem, f"sha256:{sha256[:12]}", file=str(file), sha256=sha256)
    collected = collect(_execute(file, source, sha256), plugin.name, plugin.version)
    if collected.failures:
        raise PluginError(
            "\n".join(f"{file}: {_located(f.error, f.where)}" for f in collected.failures)
        )
    return plugin, collected


def _located(error: str, where: str) -> str:
    return f"{error} ({where})" if where else error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PluginError(f"{file}: no plugin can be read here: {error.strerror}") from error


def _execute(file: Path, source: bytes, sha256: str) -> ModuleType:
    """The module, run from the very bytes that were hashed."""
    module = ModuleType(f"fmcore_file_{sha256[:12]}_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where dataclasses and annotations look names up
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the command's result
            exec(compile(source, str(file), "exec"), vars(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the command
        del sys.modules[module.__name__]
        raise PluginError(f"{file}: {_located(*describe(error))}") from error
    return module
