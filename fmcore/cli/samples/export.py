"""`fmcore samples export`: the samples of a run as PNG files."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from fmcore.cli.options import plugin_option
from fmcore.cli.run_folder import run_argument
from fmcore.errors import UserError

__all__ = ["export"]

INDEX = "index.csv"
COLUMNS = ("file", "index", "seed", "label", "class", "nfe", "status")


@click.command(short_help="Write samples that are images as PNG files.")
@run_argument
@click.argument("to", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1), help="The first COUNT samples; by default all.")
@plugin_option
def export(run: Path, to: Path, count: int | None) -> None:
    """Write the samples of RUN into the new folder DIR, a PNG file each, at their own size.

    A name holds the index of the sample and, if it has one, its class.  index.csv lists file,
    index, seed, label, class, NFE and status; the same seed and index give the same sample again.

    \b
      fmcore samples export runs/digits/20260101-120000 digits_png
      fmcore samples export runs/digits/20260101-120000 first --count 16
    """
    if to.exists() or to.is_symlink():
        raise UserError(f"{to}: exists; give the name of a new folder")
    from fmcore.runs.folder import RunFolder
    from fmcore.runs.samples import Shards

    folder = RunFolder(run)
    facts = folder.facts().get("data", {})
    levels, names = facts.get("levels"), facts.get("classes", [])
    shards = Shards.on_disk(folder.samples)
    kept = shards.kept()[-1].stop
    wanted = min(count or shards.count, shards.count)
    if count and wanted > kept:
        raise UserError(f"{run}: of {shards.count} samples the first {kept} are on disk")
    if not _are_images(shards.load(shards.kept()[0])["x"], levels):
        raise UserError(f"{run}: the samples are not images; they are in {folder.samples}")
    seed = shards.provenance().get("seed", "")
    part = to.with_name(f".{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
    part.mkdir(parents=True)
    try:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        written = 0
        for index, row in _rows(shards, min(wanted, kept)):
            table.writerow(_write(part, index, row, levels, names) | {"seed": seed})
            written += 1
        (part / INDEX).write_text(text.getvalue(), encoding="utf-8")
        part.rename(to)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    click.echo(f"{to}: {written} PNG files and {INDEX}")
    if written < wanted:
        click.echo(f"the other {wanted - written} samples are not on disk", err=True)


def _are_images(x: Any, levels: int | None) -> bool:
    return levels is not None and x.ndim == 4 and x.shape[1] in (1, 3)


def _rows(shards: Any, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the index and the tensors of each of the first samples."""
    for indices, tensors in shards.all():
        for place, index in enumerate(indices):
            if index >= count:
                return
            yield index, {name: tensor[place] for name, tensor in tensors.items()}


def _write(
    folder: Path, index: int, row: Mapping[str, Any], levels: int, names: list[str]
) -> dict[str, Any]:
    """Write one sample, and return its line of the table without the seed."""
    from fmcore.interfaces.portrait import Portrait
    from fmcore.interfaces.problem import Status

    label = int(row["label"]) if "label" in row else None
    name = names[label] if label is not None and 0 <= label < len(names) else ""
    # names of folders may hold any character, and names of classes a slash
    safe = re.sub(r"[^\w-]+", "-", name).strip("-")[:60]
    text = safe or ("" if label is None else f"label{label}")
    file = f"{index:06d}{'-' if text else ''}{text}.png"
    (folder / file).write_bytes(Portrait.picture(row["x"], levels).content)
    return {
        "file": file,
        "index": index,
        "label": "" if label is None else label,
        "class": name,
        "nfe": int(row["nfe"]),
        "status": Status(int(row["status"])).name.lower(),
    }
