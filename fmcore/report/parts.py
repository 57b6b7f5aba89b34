"""The parts of a page; a part that fails is left out, and the page gives the reason."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, final

from markupsafe import Markup

__all__ = ["Chart", "Picture", "Sound", "Text", "attempt", "data_uri", "shard_files"]

MAX_PICTURE_BYTES = 24 * 2**20
"""The limit of one picture: larger pages do not open on a phone."""

T = TypeVar("T")

_KINDS = {b"\x89PNG": "image/png", b"GIF8": "image/gif"}
_RIFF_KINDS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


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
class Sound:
    """A sound embedded in the page, with the browser's controls."""

    title: str
    caption: str
    data: str


@final
@dataclass(frozen=True)
class Text:
    """Text shown as it is."""

    title: str
    caption: str
    text: str


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


def data_uri(file: Path, media: Literal["image", "audio"] = "image") -> str | None:
    """Return a picture or a sound as a data URI; None if the file is missing.

    Raises ValueError for a file of another kind, and for one larger than 24 MiB.
    """
    if not file.is_file():
        return None
    if file.stat().st_size > MAX_PICTURE_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_PICTURE_BYTES >> 20} MiB")
    content = file.read_bytes()
    kind = _kind_of(content)
    if kind is None or not kind.startswith(f"{media}/"):
        wanted = "a PNG, GIF or WebP" if media == "image" else "a WAV"
        raise ValueError(f"{file.name} is not {wanted}")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _kind_of(content: bytes) -> str | None:
    """Return the media type by the first bytes; RIFF is the container of WebP and of WAV."""
    if content[:4] == b"RIFF":
        return _RIFF_KINDS.get(content[8:12])
    return _KINDS.get(content[:4])
