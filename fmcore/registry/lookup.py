"""Every component that is to be had, by kind and name."""

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
    """The components of the plugins behind `points`, as far as the allow-list `allow` lets them in.

    Two plugins may register the same name: it is then an error to use the bare name, and
    `plugin/name` always works. A plugin that fails stands in `failures` and hinders nobody.
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
        """The components of a kind, by name and then plugin; `recipe` is a kind too."""
        _check_kind(kind)
        of_kind = (entry for entry in self._entries if entry.kind == kind)
        return sorted(of_kind, key=lambda entry: (entry.name, entry.plugin))

    def names(self, kind: str) -> list[str]:
        """The bare names of a kind, sorted, each once."""
        return sorted({entry.name for entry in self.entries(kind)})

    def entry(self, kind: str, name: str) -> Entry:
        """The component called `name` or `plugin/name`.  Raises PluginError unless there is one."""
        entries = self.entries(kind)
        matches = [entry for entry in entries if name in (entry.name, entry.qualified)]
        if not matches:
            raise PluginError(self._unknown(kind, name))
        if len(matches) > 1:
            which = ", ".join(entry.qualified for entry in matches)
            raise PluginError(
                f"{kind} '{name}' is registered by {len(matches)} plugins; say which: {which}"
            )
        return matches[0]

    def find(self, name: str) -> list[Entry]:
        """The components called `name` or `plugin/name`, of whatever kind."""
        kinds = dict.fromkeys(HOOKS.values())
        return [e for kind in kinds for e in self.entries(kind) if name in (e.name, e.qualified)]

    def entry_of(self, component: object) -> Entry | None:
        """The first entry whose class is `component` or its class; imports nothing."""
        cls = component if isinstance(component, type) else type(component)
        return next((entry for entry in self._entries if _is_target(entry.target, cls)), None)

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        choices = [e.qualified for e in self.entries(kind)] if "/" in name else known
        hint = did_you_mean(name, choices)
        elsewhere = [entry.kind for entry in self.find(name)]
        other = f"; there is a {' and a '.join(elsewhere)} of that name;" if elsewhere else ";"
        installed = ", ".join(known) or "none"
        return f"no {kind} named '{name}'{hint or other} installed: {installed}{self._absent()}"

    def _absent(self) -> str:
        """A word on plugins that might have had it."""
        broken = sorted({failure.plugin for failure in self.failures})
        words = f"; not loaded, see `fmcore plugins`: {', '.join(broken)}" if broken else ""
        if self.left_out:
            names = ", ".join(plugin.name for plugin in self.left_out)
            words += f"; left out by {discovery.ALLOW_LIST}: {names}"
        return words


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
    except Exception:  # gone, or a lazy attribute that raises whatever it likes
        return False
    return found is cls
