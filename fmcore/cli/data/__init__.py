"""`fmcore data`: describe a dataset, pack images for training."""

from __future__ import annotations

import click

from fmcore.cli.guess import guess_dataset
from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["data"]

COMMANDS = {
    "show": Target("fmcore.cli.data.show:show", "Describe a dataset; draw some of its examples."),
    "pack": Target(
        "fmcore.cli.data.pack:pack", "Write images to one memory map, which is fast to read."
    ),
}


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    guess=guess_dataset,
    short_help="Describe data, and pack images for training.",
)
def data() -> None:
    """Describe a dataset, or pack images into one memory map for training.

    \b
      fmcore data show digits
      fmcore data show /data/imagenet64 --picture some.png
      fmcore data pack /data/imagenet64 packed64
      fmcore run imagenet64 data.name=packed data.root=packed64
    """
