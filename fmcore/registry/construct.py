"""Construct a registered component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmcore.errors import ComponentError, FmcoreError
from fmcore.registry.entry import Entry
from fmcore.registry.failure import describe

__all__ = ["construct"]


def construct(entry: Entry, arguments: Mapping[str, Any]) -> Any:
    """Return an instance of `entry`'s class, from arguments that are checked (see `fmcore.create`).

    Raises PluginError if the class cannot be loaded, ComponentError if its constructor raises.
    """
    cls = entry.load()
    try:
        return cls(**arguments)
    except FmcoreError:  # a message for the user already
        raise
    except Exception as error:  # a third party's constructor may raise anything
        reason, where = describe(error)
        place = f" ({where})" if where else ""
        raise ComponentError(f"{entry.title} cannot be made: {reason}{place}") from error
