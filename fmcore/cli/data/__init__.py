"""`fmcore data`: look at images, and pack them for training."""

from __future__ import annotations

import click

from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["data"]

COMMANDS = {
    "show": Target("fmcore.cli.data.show:show", "Say what a data set holds, with a picture."),
    "pack": Target("fmcore.cli.data.pack:pack", "Write images to one memory map, for speed."),
}


@click.group(
    cls=LazyGroup, targets=COMMANDS, short_help="Look at data, and pack images for training."
)
def data() -> None:
    """Look at data, and pack images into one memory map for training.

    \b
      fmcore data show digits
      fmcore data show /data/imagenet64 --picture some.png
      fmcore data pack /data/imagenet64 packed64
      fmcore run imagenet64 data.name=packed data.root=packed64
    """
