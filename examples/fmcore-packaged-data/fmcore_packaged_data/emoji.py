"""Colour emoji from an npm package.

    fmcore data show emoji root=package --plugin emoji.py

Source: the npm packages emoji-datasource-google and emoji-datasource-twitter (MIT; the images are
Apache-2.0 and CC-BY 4.0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, NamedTuple, final

from annotated_types import Gt

from fmcore import DataError, Register, hookimpl
from fmcore_data.decoding import Background, Decoder
from fmcore_data.encoded import Encoded, Files, number_by_name
from fmcore_data.held_out import select_rows
from fmcore_data.listing import find_root
from fmcore_data.storage import Images, StoredImages

__all__ = ["Emoji"]

PACKAGE = "emoji-datasource-google@16.0.0"
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a manifest of another form may raise."""


@final
@dataclass(frozen=True)
class Emoji(StoredImages):
    """The images of 64x64 pixels in `root`, an unpacked npm package, on a plain background.

    The classes are the ten categories. One emoji in ten is held out; the skin tones of an emoji,
    and the same emoji of two vendors, are always in the same split. `image_size` is at most 64.
    """

    root: str
    image_size: Annotated[int, Gt(0)] = 64
    background: Background = "white"

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return (place / "emoji.json").is_file() or (place / "package" / "emoji.json").is_file()

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.image_size, self.image_size)

    def _open(self) -> Images:
        place, entries = self._entries()
        # By emoji, not by image: the skin tones of one hand would be in both splits.
        families = sorted({entry.family for entry in entries})
        kept = {
            families[row] for row in select_rows(self.split, len(families), len(families) // 10)
        }
        chosen = [entry for entry in entries if entry.family in kept]
        files = _Paths([place / entry.file for entry in chosen])
        classes = sorted({entry.category for entry in entries})
        labels = number_by_name([entry.category for entry in chosen], classes)
        decoder = Decoder(self.image_size, background=self.background)
        return Encoded(files, decoder, labels, len(classes))

    def _entries(self) -> tuple[FilePath, list[_Entry]]:
        root = find_root(self.root)
        found = sorted([*root.glob("img/*/64"), *root.glob("package/img/*/64")])
        if len(found) != 1:
            raise DataError(
                f"{root} is not an unpacked emoji-datasource package (img/VENDOR/64): "
                f"npm pack {PACKAGE}, unpack the .tgz, and set data.root=FOLDER"
            )
        place, manifest = found[0], found[0].parents[2] / "emoji.json"
        try:
            known = [*_listed(json.loads(manifest.read_text(encoding="utf-8")))]
        except DAMAGED as error:
            raise DataError(f"cannot read {manifest}: {error!r}") from error
        return place, [entry for entry in known if (place / entry.file).is_file()]


class _Entry(NamedTuple):
    family: str
    category: str
    file: str


def _listed(manifest: list[dict[str, Any]]) -> Iterator[_Entry]:
    """The images in the order of the keyboard, each followed by its skin tones."""
    for emoji in sorted(manifest, key=lambda emoji: int(emoji["sort_order"])):
        tones = emoji.get("skin_variations", {}).values()
        for file in (emoji["image"], *sorted(str(tone["image"]) for tone in tones)):
            yield _Entry(emoji["unified"], emoji["category"], FilePath(file).name)


@final
class _Paths(Files):
    def __init__(self, paths: list[FilePath]) -> None:
        self.paths = paths

    @property
    def count(self) -> int:
        return len(self.paths)

    def content(self, index: int) -> bytes:
        return self.paths[index].read_bytes()

    def name(self, index: int) -> str:
        return str(self.paths[index])


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the dataset where this file is loaded with `--plugin`."""
    register("emoji", Emoji, summary="colour emoji, 64x64")
