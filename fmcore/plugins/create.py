"""Make a component from its kind, its name and its options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from fmcore.errors import ComponentError, FmcoreError
from fmcore.plugins.entry import Entry
from fmcore.plugins.failure import describe
from fmcore.suggest import did_you_mean

__all__ = ["construct"]


def construct(entry: Entry, options: Mapping[str, Any]) -> Any:
    """An instance of `entry`'s class.

    Raises PluginError if the class cannot be loaded, ComponentError if an option is unknown,
    missing or refused.
    """
    cls = entry.load()
    _check(entry, options, inspect.signature(cls).parameters.values())
    try:
        return cls(**options)
    except FmcoreError:
        raise
    except Exception as error:  # whatever a stranger's constructor raises
        reason, where = describe(error)
        place = f" ({where})" if where else ""
        raise ComponentError(f"{entry.title} cannot be made: {reason}{place}") from error


def _check(
    entry: Entry, options: Mapping[str, Any], parameters: Iterable[inspect.Parameter]
) -> None:
    known = {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) or f"; options: {', '.join(known) or 'none'}"
            raise ComponentError(f"{entry.kind} '{entry.name}' has no option '{name}'{hint}")
    required = [p.name for p in known.values() if p.default is p.empty]
    lacking = [name for name in required if name not in options]
    if lacking:
        raise ComponentError(f"{entry.kind} '{entry.name}' needs {', '.join(lacking)}")
