"""`fmcore data show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmcore.cli.completing import setting_keys
from fmcore.cli.console import print_json
from fmcore.cli.data.source import open_dataset, source_argument
from fmcore.cli.options import json_option, plugin_option
from fmcore.cli.output_file import OutputFile
from fmcore.errors import DataError, MissingSplitError

if TYPE_CHECKING:
    from fmcore.interfaces.dataset import Dataset

__all__ = ["show"]

IMAGES = 64  # a grid of 8 rows
COLUMNS = 8
NAMES = 20  # class names on the screen
POINTS = 10_000


@click.command(short_help="Describe a dataset; draw some of its examples.")
@source_argument
@click.argument(
    "settings",
    nargs=-1,
    metavar="[KEY=VALUE]...",
    shell_complete=setting_keys("data", "source"),
)
@click.option(
    "--picture",
    metavar="FILE",
    type=OutputFile(".png"),
    help="Draw evenly spaced examples, to the PNG file FILE.",
)
@plugin_option
@json_option
def show(source: str, settings: tuple[str, ...], picture: Path | None, as_json: bool) -> None:
    """Print count, shape, classes and fingerprint of each split of the dataset SRC.

    SRC is the name of a dataset (see `fmcore plugins --kind data`), a recipe, or a file or folder
    in a known format.  KEY=VALUE sets an option of the dataset.

    \b
      fmcore data show digits
      fmcore data show toy figure=rings --picture rings.png
    """
    name, data = open_dataset(source, settings)
    splits = _splits(data)
    if as_json:
        print_json({"name": name, "splits": {s: _facts(d) for s, d in splits.items()}})
    else:
        for split, own in splits.items():
            click.echo(f"{name}, {split}")
            for key, value in _facts(own).items():
                text = _listed(value) if isinstance(value, list) else value
                click.echo(f"  {key:<12} {text}")
    if picture is not None:
        _save(picture, data)
        click.echo(f"picture      {picture}", err=as_json)


def _splits(data: Dataset) -> dict[str, Dataset]:
    """Return the splits of the dataset, one of which may be missing.

    Raises DataError if none can be read, or if one is corrupt.
    """
    found: dict[str, Dataset] = {}
    reasons: dict[str, DataError] = {}
    for split in ("train", "test"):
        own = data.with_split(split)
        try:
            own.length  # noqa: B018  # the first access, which opens the files
        except DataError as error:
            reasons[split] = error
        else:
            found[split] = own
    for split, reason in reasons.items():
        if not found:
            raise reason
        if not isinstance(reason, MissingSplitError):
            raise DataError(f"the {split} split is corrupt: {reason}") from reason
    return found


def _facts(data: Dataset) -> dict[str, Any]:
    facts = {
        "count": data.length,
        "shape": "x".join(map(str, data.shape)),
        "values": "float32" if data.levels is None else f"uint8, {data.levels} levels",
        "classes": data.classes or "no labels",
        **({"class names": list(data.class_names)} if data.class_names else {}),
        "fingerprint": data.fingerprint,
    }
    return facts | ({"description": data.description} if data.description else {})


def _listed(names: list[str]) -> str:
    """Return the first names, with their numbers, which `sample.label` accepts too."""
    more = f", ... ({len(names)} in all; --json lists them)" if len(names) > NAMES else ""
    return ", ".join(f"{i} {name}" for i, name in enumerate(names[:NAMES])) + more


def _save(picture: Path, data: Dataset) -> None:
    from fmcore.report.plots.figure import figure
    from fmcore.report.plots.grid import save_grid

    count = POINTS if data.shape == (2,) else IMAGES
    rows = [round(i * (data.length - 1) / (count - 1)) for i in range(count)]
    batch = data.batch(rows)
    condition = {k: v for k, v in batch.items() if k != "x1"}
    pictures = [p for p in data.portray(batch["x1"], condition) if p.suffix == "png"]
    if pictures:
        save_grid(picture, pictures, COLUMNS)
    elif data.shape == (2,):
        with figure(picture, 6, 6) as axes:
            axes[0, 0].scatter(*batch["x1"].T, s=1, c=batch.get("label"), cmap="tab10")
            axes[0, 0].set_aspect("equal")
    else:
        raise DataError(f"data of shape {data.shape} cannot be drawn: leave out --picture")
