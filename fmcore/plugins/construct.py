"""Make a component from its kind, its name and its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmcore.errors import ComponentError, FmcoreError
from fmcore.plugins.entry import Entry
from fmcore.plugins.failure import describe

__all__ = ["construct"]


def construct(entry: Entry, options: Mapping[str, Any]) -> Any:
    """An instance of `entry`'s class; components among the options may be given by name.

    Raises PluginError if the class cannot be loaded, ComponentError if options are unknown, missing
    or refused.
    """
    from fmcore.recipe.schema import prepared  # which constructs what is given by name

    cls = entry.load()
    arguments = prepared(cls, options, f"{entry.kind} '{entry.name}'")
    try:
        return cls(**arguments)
    except FmcoreError:
        raise
    except Exception as error:  # whatever a stranger's constructor raises
        reason, where = describe(error)
        place = f" ({where})" if where else ""
        raise ComponentError(f"{entry.title} cannot be made: {reason}{place}") from error
