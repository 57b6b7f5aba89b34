"""Colour emoji from an npm package.

    fmcore data show emoji root=package --plugin emoji.py

Source: the npm packages emoji-datasource-google and emoji-datasource-twitter (MIT; the images are
Apache-2.0 and CC-BY 4.0).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, NamedTuple, final

from annotated_types import Gt
from PIL import Image

from fmcore import DataError, Register, hookimpl
from fmcore_data.decoding import Decoder, opened
from fmcore_data.encoded import Encoded, Files, labels_by_name
from fmcore_data.splits import folder, rows_of
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
    background: Literal["white", "black", "gray"] = "white"

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return (place / "emoji.json").is_file() or (place / "package" / "emoji.json").is_file()

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.image_size, self.image_size)

    def _open(self) -> Images:
        place, entries = self._found()
        # Split by emoji, not by image: the skin tones of a hand are almost the same image.
        families = sorted({entry.family for entry in entries})
        kept = {families[row] for row in rows_of(self.split, len(families), len(families) // 10)}
        chosen = [entry for entry in entries if entry.family in kept]
        files = _Flattened([place / entry.file for entry in chosen], self.background)
        classes = sorted({entry.category for entry in entries})
        labels = labels_by_name([entry.category for entry in chosen], classes)
        return Encoded(files, Decoder(self.image_size), labels, len(classes))

    def _found(self) -> tuple[FilePath, list[_Image]]:
        """The folder of the images, and those of the manifest that are in it."""
        root = folder(self.root)
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


class _Image(NamedTuple):
    family: str
    category: str
    file: str


def _listed(manifest: list[dict[str, Any]]) -> Iterator[_Image]:
    """Yield the images in the order of the keyboard, each emoji followed by its skin tones."""
    for emoji in sorted(manifest, key=lambda emoji: int(emoji["sort_order"])):
        tones = emoji.get("skin_variations", {}).values()
        for file in (emoji["image"], *sorted(str(tone["image"]) for tone in tones)):
            yield _Image(emoji["unified"], emoji["category"], FilePath(file).name)


@final
class _Flattened(Files):
    """Images composited onto a background."""

    def __init__(self, paths: list[FilePath], background: str) -> None:
        self.paths = paths
        self.background = background

    @property
    def count(self) -> int:
        return len(self.paths)

    def content(self, index: int) -> bytes:
        content = self.paths[index].read_bytes()
        if self.background == "white":  # the decoder's default
            return content
        try:
            layer = opened(content, self.name(index)).convert("RGBA")
        except DataError:
            raise
        except Exception as error:  # a damaged image may raise anything
            raise DataError(f"{self.name(index)} cannot be read as an image: {error}") from error
        plain = Image.new("RGBA", layer.size, self.background)
        laid = io.BytesIO()
        Image.alpha_composite(plain, layer).convert("RGB").save(laid, "PPM")
        return laid.getvalue()

    def name(self, index: int) -> str:
        return str(self.paths[index])


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the dataset where this file is loaded with `--plugin`."""
    register("emoji", Emoji, summary="colour emoji, 64x64")
