"""Find the plugins that are installed: the entry points of group `fmcore`, each loaded on its own.

`FMCORE_PLUGINS` names the plugins to load, between commas, beside the built-in ones, which are
always there; unset or empty it means all, and `none` the built-in ones alone.
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

__all__ = ["BUILT_IN", "GROUP", "Plugin", "Selection", "installed", "load", "select"]

GROUP = "fmcore"
BUILT_IN = "fmcore-flow"
"""The distribution whose plugins are the built-in ones."""

ALLOW_LIST = "FMCORE_PLUGINS"


@final
@dataclass(frozen=True)
class Plugin:
    """A plugin, by the name of its entry point; a one-file plugin has `file` and `sha256`."""

    name: str
    version: str
    distribution: str = ""
    file: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, point: EntryPoint) -> Plugin:
        """The plugin behind an entry point."""
        if point.dist is None:
            return cls(point.name, "unknown")
        try:
            return cls(point.name, point.dist.version, _canonical(point.dist.name))
        except Exception:  # a distribution without metadata: each Python raises something else
            return cls(point.name, "unknown")

    @property
    def built_in(self) -> bool:
        """Whether it comes with fmcore itself."""
        return self.distribution == BUILT_IN


@final
@dataclass(frozen=True)
class Selection:
    """Which plugins to load, which the allow-list leaves out, and what is wrong with the choice."""

    chosen: tuple[tuple[Plugin, EntryPoint], ...]
    left_out: tuple[Plugin, ...]
    failures: tuple[Failure, ...]


def installed() -> tuple[list[EntryPoint], list[Failure]]:
    """The entry points of every installed plugin, and distributions too damaged to tell."""
    from importlib.metadata import distributions, entry_points  # 60 ms

    try:
        return list(entry_points(group=GROUP)), []
    except Exception:  # one damaged entry_points.txt, of any distribution, spoils them all
        return _one_by_one(distributions())


def _one_by_one(
    distributions: Iterable[Distribution],
) -> tuple[list[EntryPoint], list[Failure]]:
    points: dict[tuple[str, str], EntryPoint] = {}
    failures: list[Failure] = []
    for distribution in distributions:
        try:
            name = _canonical(distribution.name)
            for point in distribution.entry_points.select(group=GROUP):
                points.setdefault((name, point.name), point)  # the first on sys.path counts
        except Exception as error:
            failures.append(_damaged(distribution, error))
    return list(points.values()), failures


def _damaged(distribution: Distribution, error: Exception) -> Failure:
    place = str(getattr(distribution, "_path", "unknown"))
    return Failure(Path(place).name, "", f"its metadata is damaged: {describe(error)[0]}", place)


def select(points: Iterable[EntryPoint], allow: str = "") -> Selection:
    """Sort `points` by the allow-list; of plugins that share a name only a built-in one goes in."""
    found = sorted(((Plugin.of(p), p) for p in points), key=lambda pair: _order(pair[0]))
    failures = _unknown(allow, [plugin for plugin, _ in found])
    claimed = Counter(plugin.name for plugin, _ in found)
    chosen: list[tuple[Plugin, EntryPoint]] = []
    left_out: list[Plugin] = []
    for plugin, point in found:
        if not _allowed(plugin, allow):
            left_out.append(plugin)
        elif claimed[plugin.name] > 1 and not plugin.built_in:
            failures.append(_same_name(plugin, [p for p, _ in found]))
        else:
            chosen.append((plugin, point))
    return Selection(tuple(chosen), tuple(left_out), tuple(failures))


def load(plugin: Plugin, point: EntryPoint) -> Collected:
    """Import a plugin and call its hooks; nothing that it raises gets out (but Ctrl-C)."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the command's result
            module = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the command
        return Collected(failures=(Failure.of(plugin.name, plugin.version, error),))
    return collect(module, plugin.name, plugin.version)


def _order(plugin: Plugin) -> tuple[bool, str, str]:
    return (not plugin.built_in, plugin.distribution, plugin.name)


def _wanted(allow: str) -> list[str]:
    return [word for word in (part.strip() for part in allow.split(",")) if word]


def _allowed(plugin: Plugin, allow: str) -> bool:
    wanted = _wanted(allow)
    return plugin.built_in or not wanted or plugin.name in wanted


def _unknown(allow: str, plugins: Sequence[Plugin]) -> list[Failure]:
    names = [plugin.name for plugin in plugins]
    return [
        Failure(
            word, "", f"{ALLOW_LIST} names it, but it is not installed{did_you_mean(word, names)}"
        )
        for word in _wanted(allow)
        if word not in names and word != "none"
    ]


def _same_name(plugin: Plugin, plugins: Iterable[Plugin]) -> Failure:
    others = [p.distribution for p in plugins if p.name == plugin.name]
    text = f"{len(others)} distributions have a plugin of this name: {', '.join(others)}"
    return Failure(plugin.name, plugin.version, text)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
