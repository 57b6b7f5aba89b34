"""One of a closed set of words, held to it where Python builds an object without a recipe."""

from __future__ import annotations

from typing import Any, get_args

from fmcore.errors import ComponentError
from fmcore.suggest import did_you_mean

__all__ = ["require_choice"]


def require_choice(what: str, value: Any, literal: Any) -> None:
    """Raise ComponentError unless `value` is among the words of the Literal type."""
    words = get_args(literal)
    if value not in words:
        known = " or ".join([", ".join(map(repr, words[:-1])), repr(words[-1])])
        raise ComponentError(
            f"{what} must be {known}, got {value!r}{did_you_mean(str(value), words)}"
        )
