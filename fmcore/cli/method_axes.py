"""The arguments methods=A,B and seeds=0,1 of the commands that write the paper's tables."""

from __future__ import annotations

from collections.abc import Sequence

from fmcore.errors import UserError

__all__ = ["numbers", "split_axes"]

AXES = ("methods=", "seeds=")


def split_axes(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the axes by name, and the overrides of the recipe."""
    axes = dict(word.split("=", 1) for word in words if word.startswith(AXES))
    return axes, [word for word in words if not word.startswith(AXES)]


def numbers(what: str, text: str) -> list[int]:
    """Return whole numbers between commas.  Raises UserError with `what` for anything else."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(
            f"{what}{text}: give whole numbers separated by commas: {what}1,2,3"
        ) from None
