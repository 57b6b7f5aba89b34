"""`fmcore data pack`."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmcore.cli.completing import setting_keys
from fmcore.cli.console import complain
from fmcore.cli.data.source import open_dataset, source_argument
from fmcore.cli.options import plugin_option, quiet_option
from fmcore.errors import DataError, MissingSplitError, PluginError

if TYPE_CHECKING:
    from fmcore.interfaces.codec import Codec
    from fmcore.interfaces.dataset import Dataset, ImageDataset, Split

__all__ = ["pack"]

SECONDS_BETWEEN_LINES = 10.0


@click.command(short_help="Write images to one memory map, which is fast to read.")
@source_argument
@click.argument("out", type=click.Path(path_type=Path))
@click.argument(
    "settings",
    nargs=-1,
    metavar="[KEY=VALUE]...",
    shell_complete=setting_keys("data", "source"),
)
@click.option(
    "--codec",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Store latents too, by the codec in FOLDER: the run of an autoencoder, or an "
    "AutoencoderKL of diffusers.",
)
@plugin_option
@quiet_option
def pack(
    source: str, out: Path, settings: tuple[str, ...], codec: Path | None, quiet: bool
) -> None:
    """Write the images of SRC to the new folder OUT: one uint8 array for each split.

    Train on them with `data: {name: packed, root: OUT}`.  SRC is as for `fmcore data show`; the
    fingerprint stays the same.

    With --codec, a run with the same codec reads the latents instead of encoding each batch.

    \b
      fmcore data pack /data/imagenet64 packed64
      fmcore data pack image_folder latents root=/data/cats --codec runs/autoencoder
    """
    from fmcore.registry import registry

    name, data = open_dataset(source, settings)
    images = _images(name, data)
    splits = _splits(images)
    packed = registry().entry("data", "packed").load()
    found = None if codec is None else _codec(codec, images)
    manifest = packed.write(images, out, splits, _source(name, data), _Progress(quiet), found)
    for split, entry in manifest["splits"].items():
        click.echo(f"{split:<6} {entry['count']} images  fingerprint {entry['fingerprint']}")
    click.echo(f"use it: data.name=packed data.root={out}")
    if found is not None:
        shape = "x".join(map(str, found.shape(tuple(images.shape))))
        click.echo(f"latents {shape}, codec {found.fingerprint}")


def _images(name: str, data: Dataset) -> ImageDataset:
    from fmcore.interfaces.dataset import ImageDataset

    if not isinstance(data, ImageDataset):
        raise DataError(f"data '{name}' holds no images: only images can be packed")
    return data


def _codec(folder: Path, images: ImageDataset) -> Codec:
    """Return the codec in `folder`, which fits the images.  Raises DataError if there is none."""
    from fmcore.registry import registry

    if not folder.is_dir():
        raise DataError(f"no folder {folder}: --codec takes the folder of a run or of a network")
    # a codec whose packages are missing is left out, as one that does not know the folder
    for entry in registry().entries("codec"):
        with suppress(PluginError):
            found: Codec | None = entry.load().found_in(folder)
            if found is not None:
                found.shape(tuple(images.shape))
                return found
    raise DataError(
        f"{folder}: holds no codec: give the folder of a run with model 'autoencoder', or of an "
        "AutoencoderKL of diffusers"
    )


def _splits(data: ImageDataset) -> list[Split]:
    """Return both splits, or the train split with a warning.  Raises DataError if one is corrupt.

    `length` opens the files of a split, and raises if they are missing or corrupt.
    """
    data.with_split("train").length  # noqa: B018
    try:
        data.with_split("test").length  # noqa: B018
    except MissingSplitError as error:
        complain(f"packing the train split alone: {error}", "warning")
        return ["train"]
    return ["train", "test"]


def _source(name: str, data: Dataset) -> dict[str, Any]:
    """Return the origin of the images, for the manifest."""
    options = {field.name: getattr(data, field.name) for field in fields(data)}
    plain = {key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    return {"name": name, "options": {k: v for k, v in plain.items() if k != "split"}}


class _Progress:
    """Prints a line on stderr every few seconds."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.began = self.printed = time.monotonic()

    def __call__(self, split: Split, done: int, count: int) -> None:
        now = time.monotonic()
        if self.quiet or now - self.printed < SECONDS_BETWEEN_LINES:
            return
        self.printed = now
        complain(f"{split}: {done} of {count} images, {done / (now - self.began):.0f}/s")
