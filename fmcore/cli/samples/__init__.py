"""`fmcore samples`: work with the samples of a run."""

from __future__ import annotations

import click

from fmcore.cli.lazy import LazyGroup, Target

__all__ = ["COMMANDS", "samples"]

COMMANDS = {
    "export": Target(
        "fmcore.cli.samples.export:export", "Write samples that are images as PNG files."
    ),
}


@click.group(cls=LazyGroup, targets=COMMANDS, short_help="Export the samples of a run.")
def samples() -> None:
    """Export the samples of a run.

    \b
      fmcore samples export runs/digits/20260101-120000 digits_png
    """
