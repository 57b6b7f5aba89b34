"""Find the installed plugins, entry points of group `fmcore`, and load each separately.

`FMCORE_PLUGINS` is a comma-separated list of the plugins to load in addition to the built-in ones,
which are always loaded.  Unset or empty, it means all; `none` means the built-in ones only.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from fmcore.errors import did_you_mean
from fmcore.registry.failure import Failure, describe
from fmcore.registry.hooks import Collected, collect

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["BUILT_IN", "GROUP", "Plugin", "Selection", "find_entry_points", "load", "select"]

GROUP = "fmcore"
BUILT_IN = "fmcore-flow"
"""The distribution whose plugins are the built-in ones."""

ALLOW_LIST = "FMCORE_PLUGINS"


@final
@dataclass(frozen=True)
class Plugin:
    """A plugin, named by its entry point; a one-file plugin has `file` and `sha256`."""

    name: str
    version: str
    distribution: str = ""
    file: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, point: EntryPoint, known: dict[int, tuple[str, str]]) -> Plugin:
        """Return the plugin of an entry point.

        `known` keeps version and name by distribution: reading its metadata takes milliseconds.
        """
        key = id(point.dist)  # alive as long as its entry points
        if key not in known:
            known[key] = _version_and_name(point.dist)
        return cls(point.name, *known[key])

    @property
    def built_in(self) -> bool:
        """Whether it is part of fmcore."""
        return self.distribution == BUILT_IN


@final
@dataclass(frozen=True)
class Selection:
    """The plugins to load, those that the allow-list leaves out, and errors of the selection."""

    chosen: tuple[tuple[Plugin, EntryPoint], ...]
    left_out: tuple[Plugin, ...]
    failures: tuple[Failure, ...]


def find_entry_points() -> tuple[list[EntryPoint], list[Failure]]:
    """Return the entry points of all plugins, and the distributions whose metadata is damaged."""
    from importlib.metadata import distributions, entry_points  # takes 60 ms

    try:
        return list(entry_points(group=GROUP)), []
    except Exception:  # one damaged entry_points.txt makes entry_points() raise
        return _read_separately(distributions())


def _read_separately(
    distributions: Iterable[Distribution],
) -> tuple[list[EntryPoint], list[Failure]]:
    points: dict[tuple[str, str], EntryPoint] = {}
    failures: list[Failure] = []
    for distribution in distributions:
        try:
            name = _canonical(distribution.name)
            for point in distribution.entry_points.select(group=GROUP):
                points.setdefault((name, point.name), point)  # as in imports, the first on sys.path
        except Exception as error:
            failures.append(_describe_damage(distribution, error))
    return list(points.values()), failures


def _describe_damage(distribution: Distribution, error: Exception) -> Failure:
    place = str(getattr(distribution, "_path", "unknown"))
    return Failure(Path(place).name, "", f"its metadata is damaged: {describe(error)[0]}", place)


def select(points: Iterable[EntryPoint], allow: str = "") -> Selection:
    """Select plugins by the allow-list; of plugins that share a name, only a built-in one."""
    known: dict[int, tuple[str, str]] = {}
    found = sorted(((Plugin.of(p, known), p) for p in points), key=lambda pair: _sort_key(pair[0]))
    failures = _report_unknown(allow, [plugin for plugin, _ in found])
    claimed = Counter(plugin.name for plugin, _ in found)
    chosen: list[tuple[Plugin, EntryPoint]] = []
    left_out: list[Plugin] = []
    for plugin, point in found:
        if not _is_allowed(plugin, allow):
            left_out.append(plugin)
        elif claimed[plugin.name] > 1 and not plugin.built_in:
            failures.append(_report_same_name(plugin, [p for p, _ in found]))
        else:
            chosen.append((plugin, point))
    return Selection(tuple(chosen), tuple(left_out), tuple(failures))


def load(plugin: Plugin, point: EntryPoint) -> Collected:
    """Import a plugin and call its hooks.  Returns what it raises as a failure, except Ctrl-C."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is the result of the command
            module = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the command
        return Collected(failures=(Failure.of(plugin.name, plugin.version, error),))
    return collect(module, plugin.name, plugin.version)


def _sort_key(plugin: Plugin) -> tuple[bool, str, str]:
    return (not plugin.built_in, plugin.distribution, plugin.name)


def _parse_list(allow: str) -> list[str]:
    return [name for name in (part.strip() for part in allow.split(",")) if name]


def _is_allowed(plugin: Plugin, allow: str) -> bool:
    listed = _parse_list(allow)
    return plugin.built_in or not listed or plugin.name in listed


def _report_unknown(allow: str, plugins: Sequence[Plugin]) -> list[Failure]:
    names = [plugin.name for plugin in plugins]
    return [
        Failure(
            word, "", f"{ALLOW_LIST} names it, but it is not installed{did_you_mean(word, names)}"
        )
        for word in _parse_list(allow)
        if word not in names and word != "none"
    ]


def _report_same_name(plugin: Plugin, plugins: Iterable[Plugin]) -> Failure:
    others = [p.distribution for p in plugins if p.name == plugin.name]
    text = f"{len(others)} distributions have a plugin of this name: {', '.join(others)}"
    return Failure(plugin.name, plugin.version, text)


def _version_and_name(distribution: Distribution | None) -> tuple[str, str]:
    if distribution is None:
        return "unknown", ""
    try:
        metadata = distribution.metadata
        return metadata["Version"], _canonical(metadata["Name"])
    except Exception:  # without metadata; the exception depends on the version of Python
        return "unknown", ""


def _canonical(name: str) -> str:
    """Return the name as PEP 503 normalizes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
