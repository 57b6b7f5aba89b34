"""The type of options that name a file to write: its suffix is one that the command can write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, final

import click

__all__ = ["OutputFile"]


@final
class OutputFile(click.Path):
    """A file to write, whose name ends in one of `suffixes`; existing folders are refused."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path.  Raises BadParameter for another suffix, before anything is computed."""
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        if file.suffix.lower() not in self.suffixes:
            first, *others = self.suffixes
            known = f"one of {', '.join(self.suffixes)}" if others else first
            what = f"'{file.suffix}' is not a known format" if file.suffix else "no format"
            self.fail(f"{file}: {what}; give a name that ends in {known}", param, ctx)
        return file
