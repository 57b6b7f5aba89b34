"""Plugins: found, failed, left out, and slow to load."""

from __future__ import annotations

from collections.abc import Iterator

from fmcore.cli.doctor.finding import Finding
from fmcore.registry import registry
from fmcore.registry.hooks import HOOKS

__all__ = ["plugins"]

TOPIC = "plugins"


def plugins() -> Iterator[Finding]:
    """Check each plugin: its version, its components, its error."""
    known = registry()
    failed = {failure.plugin for failure in known.failures}
    entries = [entry for kind in dict.fromkeys(HOOKS.values()) for entry in known.entries(kind)]
    for plugin in known.plugins:
        if plugin.name not in failed:
            count = sum(entry.plugin == plugin.name for entry in entries)
            text = f"{plugin.version}, {count} component{'' if count == 1 else 's'}"
            yield Finding(TOPIC, plugin.name, "ok", text)
    for failure in known.failures:
        yield Finding(TOPIC, failure.plugin, "broken", str(failure))
    if known.heavy is not None:
        text = "imports torch at module level, which slows every command: import it in functions"
        yield Finding(TOPIC, known.heavy, "note", text)
    for plugin in known.left_out:
        yield Finding(TOPIC, plugin.name, "note", "left out by FMCORE_PLUGINS")
