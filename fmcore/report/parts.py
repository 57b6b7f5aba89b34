"""What a page is made of: each part shown whole, or left out with a word that says why."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

from markupsafe import Markup

__all__ = ["Chart", "Picture", "attempt", "data_uri", "shard_files"]

MAX_PICTURE_BYTES = 24 * 2**20
"""Of one picture: a page with more would not open on a telephone."""

T = TypeVar("T")

_KINDS = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"RIFF": "image/webp"}


@final
@dataclass(frozen=True)
class Picture:
    """An image of the run folder, inside the page; `still` is shown instead to those who want no
    motion; a `wide` one scrolls on a narrow screen.
    """

    title: str
    caption: str
    data: str
    still: str | None = None
    wide: bool = False


@final
@dataclass(frozen=True)
class Chart:
    """A drawing made for the page; in one with `points` each of them has its words."""

    title: str
    caption: str
    svg: Markup
    points: bool = False


def attempt(what: str, make: Callable[[], T], omitted: list[str]) -> T | None:
    """What `make` gives; None if that fails, and a word of it added to `omitted`.

    A report describes whatever a run left behind, torn files included: none may keep the rest of
    the page from being read.
    """
    try:
        return make()
    except Exception as error:
        omitted.append(f"{what} is left out: {type(error).__name__}: {error}")
        return None


def shard_files(samples: Path) -> list[Path]:
    """The shards that the folder `samples` holds of the samples drawn last; none if it holds none.

    Of an earlier drawing of more samples some may lie there still.
    """
    from fmcore.runs.samples import Shards  # the stages write reports at their end

    return Shards.there(samples).files() if (samples / "made.json").is_file() else []


def data_uri(file: Path) -> str | None:
    """An image as a data URI; None if there is none.  Raises ValueError for what is no image."""
    if not file.is_file():
        return None
    if file.stat().st_size > MAX_PICTURE_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_PICTURE_BYTES >> 20} MiB")
    content = file.read_bytes()
    kind = _KINDS.get(content[:4])
    if kind is None:
        raise ValueError(f"{file.name} is not a PNG, GIF or WebP")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
