"""Find the component that a name on the command line means."""

from __future__ import annotations

from fmcore.errors import PluginError, did_you_mean
from fmcore.registry import Entry, registry
from fmcore.registry.hooks import HOOKS
from fmcore.registry.kinds import KINDS

__all__ = ["find_component"]


def find_component(name: str, kind: str | None) -> Entry:
    """Return the component `name` or `plugin/name` of `kind`, or of the one kind that has it.

    Raises PluginError if there is none, or if kinds or plugins share the name.
    """
    known = registry()
    found = known.find(name)
    kinds = [kind] if kind else list(dict.fromkeys(entry.kind for entry in found))
    if len(kinds) > 1:
        shared = " and a ".join(kinds)
        raise PluginError(f"'{name}' is a {shared}: add --kind {' or --kind '.join(kinds)}")
    if kinds:
        return known.entry(kinds[0], name)
    raise PluginError(f"no component is named '{name}'{_hint(name)}")


def _hint(name: str) -> str:
    """What to type instead: a component of the plugin `name`, or the nearest name."""
    if name in KINDS:
        return f": it is a kind; its components: {', '.join(registry().names(name)) or 'none'}"
    if name.endswith(".py"):
        return f"; load a plugin of one file with --plugin {name}, and give a component's name"
    entries = [e for kind in dict.fromkeys(HOOKS.values()) for e in registry().entries(kind)]
    if offered := [entry.name for entry in entries if entry.plugin == name]:
        return f": it is a plugin; its components: {', '.join(dict.fromkeys(offered))}"
    near = did_you_mean(name, [text for e in entries for text in (e.name, e.qualified)])
    return f"{near or ';'} see `fmcore plugins`"
