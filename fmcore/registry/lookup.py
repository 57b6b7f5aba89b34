"""Look up the installed components by kind and name."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from fmcore.errors import PluginError, did_you_mean
from fmcore.registry import discovery
from fmcore.registry.discovery import Plugin
from fmcore.registry.entry import Entry
from fmcore.registry.failure import Failure
from fmcore.registry.hooks import HOOKS
from fmcore.registry.onefile import load_file

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Registry"]


@final
class Registry:
    """The components of the plugins at the entry points that the allow-list includes.

    Two plugins may register the same name: the bare name is then an error, and `plugin/name` always
    works.  A plugin that fails is in `failures` and does not affect the others.
    """

    def __init__(
        self, points: Iterable[EntryPoint], allow: str = "", failures: Iterable[Failure] = ()
    ) -> None:
        selection = discovery.select(points, allow)
        self.left_out: tuple[Plugin, ...] = selection.left_out
        self.failures: list[Failure] = [*failures, *selection.failures]
        self.plugins: list[Plugin] = []
        self.heavy: str | None = None  # the plugin that imported torch, if one did
        self._entries: list[Entry] = []
        for plugin, point in selection.chosen:
            light = "torch" not in sys.modules
            collected = discovery.load(plugin, point)
            if light and "torch" in sys.modules:
                self.heavy = plugin.name
            self.plugins.append(plugin)
            self.failures += collected.failures
            self._entries += collected.entries

    def add_file(self, file: str | PathLike[str]) -> Plugin:
        """Load a one-file plugin, unless it is loaded already.  Raises PluginError."""
        path = Path(file).resolve()
        for plugin in self.plugins:
            if plugin.file == str(path):
                return plugin
        if any(plugin.name == path.stem for plugin in self.plugins):
            raise PluginError(f"{file}: a plugin is called '{path.stem}' already; rename the file")
        plugin, collected = load_file(path)
        self.plugins.append(plugin)
        self._entries += collected.entries
        return plugin

    def entries(self, kind: str) -> list[Entry]:
        """Return the components of a kind, sorted by name and plugin; `recipe` is a kind too."""
        _check_kind(kind)
        of_kind = (entry for entry in self._entries if entry.kind == kind)
        return sorted(of_kind, key=lambda entry: (entry.name, entry.plugin))

    def names(self, kind: str) -> list[str]:
        """Return the bare names of a kind, sorted, each once."""
        return sorted({entry.name for entry in self.entries(kind)})

    def entry(self, kind: str, name: str) -> Entry:
        """Return the component `name` or `plugin/name`.  Raises PluginError if there is not one."""
        entries = self.entries(kind)
        matches = [entry for entry in entries if name in (entry.name, entry.qualified)]
        if not matches:
            raise PluginError(self._describe_unknown(kind, name))
        if len(matches) > 1:
            which = ", ".join(entry.qualified for entry in matches)
            raise PluginError(
                f"{kind} '{name}' is registered by {len(matches)} plugins; write one of: {which}"
            )
        return matches[0]

    def find(self, name: str) -> list[Entry]:
        """Return the components `name` or `plugin/name` of all kinds."""
        kinds = dict.fromkeys(HOOKS.values())
        return [e for kind in kinds for e in self.entries(kind) if name in (e.name, e.qualified)]

    def entry_of(self, component: object) -> Entry | None:
        """Return the entry of an instance or a class, None if there is none; imports nothing."""
        cls = component if isinstance(component, type) else type(component)
        return next((entry for entry in self._entries if _is_target(entry.target, cls)), None)

    def _describe_unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        choices = [e.qualified for e in self.entries(kind)] if "/" in name else known
        hint = did_you_mean(name, choices)
        elsewhere = [entry.kind for entry in self.find(name)]
        other = f"; there is a {' and a '.join(elsewhere)} of that name;" if elsewhere else ";"
        installed = ", ".join(known) or "none"
        absent = self._describe_absent()
        return f"no {kind} named '{name}'{hint or other} installed: {installed}{absent}"

    def _describe_absent(self) -> str:
        """Return the plugins that are not loaded, one of which may have the component."""
        broken = sorted({failure.plugin for failure in self.failures})
        text = f"; not loaded, see `fmcore plugins`: {', '.join(broken)}" if broken else ""
        if self.left_out:
            names = ", ".join(plugin.name for plugin in self.left_out)
            text += f"; left out by {discovery.ALLOW_LIST}: {names}"
        return text


def _check_kind(kind: str) -> None:
    kinds = list(dict.fromkeys(HOOKS.values()))
    if kind not in kinds:
        hint = did_you_mean(kind, kinds) or ";"
        raise PluginError(
            f"no kind of component is called '{kind}'{hint} kinds: {', '.join(kinds)}"
        )


def _is_target(target: str | type, cls: type) -> bool:
    if not isinstance(target, str):
        return target is cls
    module, _, attribute = target.partition(":")
    if module not in sys.modules:
        return False
    try:
        found: Any = operator.attrgetter(attribute)(sys.modules[module])
    except Exception:  # deleted, or a lazy attribute, which may raise any exception
        return False
    return found is cls
