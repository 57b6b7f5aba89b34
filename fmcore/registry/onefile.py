"""One-file plugins, given on the command line as `--plugin FILE`."""

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

    The plugin's name is that of the file without its suffix, its version the beginning of the
    file's SHA-256.  Raises PluginError for every error, since the user asked for this file.
    """
    source = _read(file)
    sha256 = hashlib.sha256(source).hexdigest()
    plugin = Plugin(file.stem, f"sha256:{sha256[:12]}", file=str(file), sha256=sha256)
    collected = collect(_execute(file, source, sha256), plugin.name, plugin.version)
    if collected.failures:
        raise PluginError(
            "\n".join(f"{file}: {_with_place(f.error, f.where)}" for f in collected.failures)
        )
    return plugin, collected


def _with_place(error: str, where: str) -> str:
    return f"{error} ({where})" if where else error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PluginError(f"{file}: no plugin can be read here: {error.strerror}") from error


def _execute(file: Path, source: bytes, sha256: str) -> ModuleType:
    """Return the module, run from the bytes that were hashed: the file may change meanwhile."""
    module = ModuleType(f"fmcore_file_{sha256[:12]}_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses and annotations look names up there
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is the result of the command
            exec(compile(source, str(file), "exec"), vars(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the command
        del sys.modules[module.__name__]
        raise PluginError(f"{file}: {_with_place(*describe(error))}") from error
    return module
