"""The parts of a page; a part that fails is left out, and the page gives the reason."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

from markupsafe import Markup

__all__ = ["Chart", "Picture", "attempt", "data_uri", "shard_files"]

MAX_PICTURE_BYTES = 24 * 2**20
"""The limit of one picture: larger pages do not open on a phone."""

T = TypeVar("T")

_KINDS = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"RIFF": "image/webp"}


@final
@dataclass(frozen=True)
class Picture:
    """An image embedded in the page.  Readers who prefer reduced motion see `still` instead; a
    `wide` one scrolls on a narrow screen.
    """

    title: str
    caption: str
    data: str
    still: str | None = None
    wide: bool = False


@final
@dataclass(frozen=True)
class Chart:
    """A chart as SVG; with `points`, each point has a description.  `key` names its curves, with
    their colours.
    """

    title: str
    caption: str
    svg: Markup
    points: bool = False
    key: tuple[tuple[str, str], ...] = ()


def attempt(what: str, make: Callable[[], T], omitted: list[str]) -> T | None:
    """Return the result of `make`; if it raises, add a line to `omitted` and return None.

    Every exception is caught, since a corrupt file must not prevent the rest of the page.
    """
    try:
        return make()
    except Exception as error:
        omitted.append(f"{what} is left out: {type(error).__name__}: {error}")
        return None


def shard_files(samples: Path) -> list[Path]:
    """Return the shards of the samples drawn last in the folder `samples`, without those of an
    earlier drawing of more samples.
    """
    from fmcore.runs.samples import Shards  # avoids a circle: the stages write reports

    return Shards.on_disk(samples).files() if (samples / "made.json").is_file() else []


def data_uri(file: Path) -> str | None:
    """Return an image as a data URI; None if the file is missing.  Raises ValueError for others."""
    if not file.is_file():
        return None
    if file.stat().st_size > MAX_PICTURE_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_PICTURE_BYTES >> 20} MiB")
    content = file.read_bytes()
    kind = _KINDS.get(content[:4])
    if kind is None:
        raise ValueError(f"{file.name} is not a PNG, GIF or WebP")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
