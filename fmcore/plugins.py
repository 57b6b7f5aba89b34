"""Find plugins and look components up by name."""

from __future__ import annotations

from typing import Any

__all__ = ["create"]


def create(kind: str, name: str, /, **options: Any) -> Any:
    """A component by kind and name."""
    raise NotImplementedError
