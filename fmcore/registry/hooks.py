"""Call the hooks of one plugin and keep what it registers.

pluggy reads the hooks; each plugin gets a manager of its own and each hook a call of its own, so
that nothing a plugin does reaches another.  A hook registers all that it asks for or, if it raises,
nothing; the plugin's other hooks stand.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import pluggy

from fmcore import hookspecs
from fmcore.errors import did_you_mean
from fmcore.registry.entry import Entry
from fmcore.registry.failure import Failure
from fmcore.registry.kinds import KINDS
from fmcore.registry.needs import validated

__all__ = ["HOOKS", "RECIPE", "Collected", "collect"]

RECIPE = "recipe"
"""The kind of what `register_recipes` registers: files, which no interface describes."""

HOOKS: dict[str, str] = {kind.hook: kind.name for kind in KINDS.values()} | {
    "register_recipes": RECIPE
}
"""The kind that each hook registers."""

_NAME = re.compile(r"[a-z_][a-z0-9_]*([.:-][a-z0-9_]+)*")
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FILE = re.compile(r"[A-Za-z_][\w.]*:[^:]+\.ya?ml")


@final
@dataclass(frozen=True)
class Collected:
    """What one plugin registered, and what was wrong with it."""

    entries: tuple[Entry, ...] = ()
    failures: tuple[Failure, ...] = ()


def collect(plugin: object, name: str, version: str) -> Collected:
    """The components of `plugin`, a module or an object whose functions carry `@hookimpl`."""
    manager = pluggy.PluginManager("fmcore")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a hook with arguments that its spec does not have
        return Collected(failures=(Failure.of(name, version, error),))
    entries: list[Entry] = []
    failures = [Failure(name, version, fault) for fault in _faults(plugin, manager)]
    for hook, kind in HOOKS.items():
        try:
            entries += _call(manager, hook, kind, name, version)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a stranger's hook raises, SystemExit too
            failures.append(Failure.of(name, version, error))
    return Collected(tuple(entries), tuple(failures))


def _faults(plugin: object, manager: pluggy.PluginManager) -> Iterator[str]:
    """Hooks that would otherwise pass in silence: misspelt, or without their decorator."""
    used = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    for name in sorted(used - set(HOOKS)):
        if not all(impl.optionalhook for impl in getattr(manager.hook, name).get_hookimpls()):
            hint = did_you_mean(name, HOOKS) or ";"
            yield f"there is no hook '{name}'{hint} hooks: {', '.join(HOOKS)}"
    for name in HOOKS:
        if name not in used and callable(inspect.getattr_static(plugin, name, None)):
            yield f"'{name}' lacks its decorator @hookimpl (from fmcore import hookimpl)"
    if not used:
        yield f"no hooks found: a plugin has functions under @hookimpl, of {', '.join(HOOKS)}"


def _call(
    manager: pluggy.PluginManager, hook: str, kind: str, plugin: str, version: str
) -> list[Entry]:
    entries: dict[str, Entry] = {}

    def register(
        name: str, target: str | type, *, summary: str = "", needs: Sequence[str] = ()
    ) -> None:
        _check_name(kind, name)
        _check_target(kind, name, target)
        if name in entries:
            raise ValueError(f"{kind} '{name}' is registered twice; give one another name")
        line = " ".join(summary.split())
        entries[name] = Entry(kind, name, target, plugin, version, line, validated(needs))

    with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the command's result
        getattr(manager.hook, hook)(register=register)
    return list(entries.values())


def _check_name(kind: str, name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name a {kind}: use lower-case letters, digits and _, "
            "in parts joined by : . or -, as in 'ot' or 'torchdiffeq:dopri5'"
        )


def _check_target(kind: str, name: str, target: object) -> None:
    if kind == RECIPE:
        if not (isinstance(target, str) and _FILE.fullmatch(target)):
            raise ValueError(
                f"recipe '{name}': target must be 'package:folder/file.yaml', got {target!r}"
            )
    elif not isinstance(target, type) and not (
        isinstance(target, str) and _CLASS.fullmatch(target)
    ):
        raise ValueError(
            f"{kind} '{name}': target must be 'module:Class' or a class, got {target!r}"
        )
