"""What a component is called in messages: the name that its user wrote."""

from __future__ import annotations

from typing import Any

from fmcore import plugins

__all__ = ["label_of"]


def label_of(component: Any) -> str:
    """`solver 'midpoint'` for a registered component, otherwise its kind and class."""
    kind = getattr(component, "kind", "component")
    entry = plugins.entry_of(component)
    return f"{kind} '{entry.name}'" if entry else f"{kind} {type(component).__name__}"
