"""Call the hooks of one plugin and collect what it registers.

Each plugin has its own pluggy manager and each hook its own call, so that plugins cannot affect one
another.  A hook that raises registers nothing; the plugin's other hooks are not affected.
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
from fmcore.registry.needs import check_needs

__all__ = ["HOOKS", "RECIPE", "Collected", "collect"]

RECIPE = "recipe"
"""The kind of what `register_recipes` registers: files, which have no interface."""

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
    """What one plugin registered, and its errors."""

    entries: tuple[Entry, ...] = ()
    failures: tuple[Failure, ...] = ()


def collect(plugin: object, name: str, version: str) -> Collected:
    """Return the components of `plugin`, a module or object with functions under `@hookimpl`."""
    manager = pluggy.PluginManager("fmcore")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a hook with arguments that its spec does not have
        return Collected(failures=(Failure.of(name, version, error),))
    entries: list[Entry] = []
    failures = [Failure(name, version, error) for error in _find_mistakes(plugin, manager)]
    for hook, kind in HOOKS.items():
        try:
            entries += _call(manager, hook, kind, name, version)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the command
            failures.append(Failure.of(name, version, error))
    return Collected(tuple(entries), tuple(failures))


def _find_mistakes(plugin: object, manager: pluggy.PluginManager) -> Iterator[str]:
    """Yield mistakes that pluggy ignores: a misspelt hook, or one without its decorator."""
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
        entries[name] = Entry(kind, name, target, plugin, version, line, check_needs(needs))

    with contextlib.redirect_stdout(sys.stderr):  # stdout is the result of the command
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
