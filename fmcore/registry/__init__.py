"""Find plugins and look up components by name.  Nothing here imports torch.

A plugin is an entry point of group `fmcore`: a light module of `@hookimpl` functions (see
`fmcore.hookspecs`) that register components by name.  Each is loaded separately: one that fails is
kept in `registry().failures` and does not affect the others.  A component's class is imported on
first use.

`FMCORE_PLUGINS` limits which plugins are loaded (see `fmcore.registry.discovery`).
"""

from __future__ import annotations

import os
from functools import cache

from fmcore.registry.discovery import ALLOW_LIST, Plugin, find_entry_points
from fmcore.registry.entry import Entry
from fmcore.registry.failure import Failure
from fmcore.registry.lookup import Registry

__all__ = ["Entry", "Failure", "Plugin", "Registry", "entry_of", "forget", "registry"]


def registry() -> Registry:
    """Return the registry of this process; the first call finds the plugins."""
    return _discovered()


def forget() -> None:
    """Find plugins again on the next call of `registry`."""
    _discovered.cache_clear()


@cache
def _discovered() -> Registry:
    points, failures = find_entry_points()
    return Registry(points, os.environ.get(ALLOW_LIST, ""), failures)


def entry_of(component: object) -> Entry | None:
    """Return the entry of `component`, an instance or a class; None if it is not registered."""
    return registry().entry_of(component)
