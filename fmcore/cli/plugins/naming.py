"""Which component a name on the command line means."""

from __future__ import annotations

from fmcore.errors import PluginError, did_you_mean
from fmcore.registry import Entry, registry
from fmcore.registry.hooks import HOOKS

__all__ = ["named"]


def named(name: str, kind: str | None) -> Entry:
    """The component `name` or `plugin/name`, of `kind` or of the one kind that has it.

    Raises PluginError if there is none, or if kinds or plugins share the name.
    """
    known = registry()
    kinds = [kind] if kind else list(dict.fromkeys(entry.kind for entry in known.find(name)))
    if len(kinds) > 1:
        raise PluginError(f"'{name}' is a {' and a '.join(kinds)}; say which with --kind")
    if kinds:
        return known.entry(kinds[0], name)
    entries = [entry for each in dict.fromkeys(HOOKS.values()) for entry in known.entries(each)]
    choices = [text for entry in entries for text in (entry.name, entry.qualified)]
    hint = did_you_mean(name, choices)
    raise PluginError(f"no component is named '{name}'{hint or ';'} see `fmcore plugins`")
