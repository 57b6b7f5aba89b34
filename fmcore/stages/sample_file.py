"""Draw the samples for a user's own conditions into one file, such as a sound."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from fmcore.errors import RunError
from fmcore.interfaces.portrait import Portrait
from fmcore.runs.files import atomic
from fmcore.stages.components import Components
from fmcore.stages.conditions import own_values
from fmcore.stages.sampler import Sampler
from fmcore.stages.shard_entries import decoded_from

__all__ = ["write_file"]


def write_file(sampler: Sampler, components: Components, file: Path) -> None:
    """Draw the samples for the values of `sample.condition`, and write them to `file`, whose suffix
    is the format.

    Without such values it is sample 0.  Nothing of the run is changed.  Raises RunError where the
    data give no file of that format, or the folder of `file` is missing.
    """
    if not file.parent.is_dir():
        raise RunError(f"{file}: there is no folder {file.parent}")
    indices = range(sampler.own_rows)
    size = sampler.settings.batch_size
    # one solve for each batch: a long text has many sentences
    parts = [
        sampler.draw(indices[first : first + size])["x"].cpu()
        for first in range(0, len(indices), size)
    ]
    x = torch.cat(parts)
    condition = sampler.described(indices)
    decoded = decoded_from(components.codec, {"x": x, **condition})
    given = own_values(sampler.settings)
    found = components.data.joined(x, condition, decoded, given)
    _write(_of_format(found, file, components), file)


def _of_format(found: Sequence[Portrait], file: Path, components: Components) -> Portrait:
    wanted = file.suffix[1:].lower()
    for portrait in found:
        if portrait.suffix == wanted:
            return portrait
    formats = sorted({f".{portrait.suffix}" for portrait in found})
    data = type(components.data).__name__
    without = "" if components.codec is not None else ", and the recipe has no codec"
    raise RunError(
        f"{file}: samples of {data} are written as {', '.join(formats) or 'no file'}{without}: "
        "give a name that ends so, or a folder"
    )


def _write(portrait: Portrait, file: Path) -> None:
    if os.path.isdir(file):
        raise RunError(f"{file}: is a folder")

    def write(part: Path) -> None:
        part.write_bytes(portrait.content)

    atomic(file, write)
