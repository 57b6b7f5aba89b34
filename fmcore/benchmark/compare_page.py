"""The HTML page of compared runs: of `fmcore compare`, and of the paper's Table 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmcore.benchmark.compare import (
    MAY_DIFFER,
    Column,
    Comparison,
    compare,
    differing_keys,
)
from fmcore.benchmark.table2 import Table2
from fmcore.recipe.load import read_values
from fmcore.report.charts import PALETTE, lines
from fmcore.report.facts import leaves
from fmcore.report.numbers import describe_provenance
from fmcore.report.parts import Chart, Picture, attempt, data_uri
from fmcore.report.rendering import write_page
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve

__all__ = ["write_comparison_page", "write_table2_page"]

PICTURES = ("grid.png", "density.png")

LEAD = (
    "A column for every metric. Values that were computed in different ways are in separate "
    "columns."
)
LEAD_TABLE2 = (
    "A regression and a flow with the same network and number of steps, next to the numbers that "
    "the paper prints."
)

LOSS_SECTIONS = ("data", "path", "objective", "coupling")
"""Sections of the recipe that define the loss, and so the scale of its values."""


def write_comparison_page(
    file: Path, folders: Sequence[RunFolder], comparison: Comparison | None = None
) -> None:
    """Write the comparison of `folders` to `file`: numbers, settings, curves and samples."""
    found = compare(folders) if comparison is None else comparison
    ways = [_describe_way(column) for column in found.columns]
    first = 1 + len(found.settings)  # the numbers come first: they are what readers look for
    _write(
        file,
        folders,
        found.runs,
        PICTURES,
        command="fmcore compare",
        title=f"{len(found.runs)} runs compared",
        lead=LEAD,
        spread="± is one standard error.",
        heads=["run", *found.headings(), *found.settings],
        rows=[[row[0], *row[first:], *row[1:first]] for row in found.rows()],
        ways=list(zip(found.headings(), ways, strict=True)),
        notes=found.notes,
    )


def write_table2_page(file: Path, table: Table2) -> None:
    """Write Table 2 to `file`: the table, how it was made, and the curves and samples of its runs.

    Failed runs have a line and no curve.
    """
    runs = [run for run in table.runs if not run.failure]
    heads, rows = table.table()
    _write(
        file,
        [RunFolder.open(run.folder) for run in runs],
        [f"{run.method}, seed {run.seed}" for run in runs],
        ("comparison.png",),
        command="fmcore table2",
        title=f"Table 2 on {table.recipe.name}",
        lead=LEAD_TABLE2,
        spread="",  # a standard deviation over seeds, which `how` explains
        heads=heads,
        rows=rows,
        ways=[("ours", table.how)],
        notes=table.notes,
    )


def _write(
    file: Path,
    folders: Sequence[RunFolder],
    names: Sequence[str],
    pictures: Sequence[str],
    **content: Any,
) -> None:
    """Write a page with the table in `content`, and curves and pictures of the runs `names`."""
    omitted: list[str] = []
    write_page(
        file,
        "comparison.html",
        runs=[(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(names)],
        curve=attempt("the curves", lambda: _curve(folders), omitted),
        curve_warning=attempt("the losses", lambda: _loss_warning(folders), omitted),
        pictures=[p for folder in folders for p in _pictures(folder, pictures, omitted)],
        omitted=omitted,
        **content,
    )


def _describe_way(column: Column) -> str:
    """Describe how a column was computed, without what may differ between its runs."""
    one = next(iter(column.cells.values()))["provenance"]
    shared = {key: value for key, value in one.items() if key not in MAY_DIFFER}
    sampler = shared.get("sampler")
    if isinstance(sampler, Mapping):
        shared["sampler"] = {k: v for k, v in sampler.items() if k not in MAY_DIFFER}
    return describe_provenance(shared)


def _loss_warning(folders: Sequence[RunFolder]) -> str:
    """Return a warning that names the settings by which the losses are not comparable, or ''."""
    losses = [_loss_settings(folder) for folder in folders]
    keys = differing_keys(losses)
    if not keys:
        return ""
    return (
        f"These losses are not comparable: the runs differ in {', '.join(keys)}, so that their "
        "losses have different scales. Compare the metrics instead."
    )


def _loss_settings(folder: RunFolder) -> dict[str, Any]:
    values = leaves(read_values(folder.recipe_file))
    return {key: value for key, value in values if key.partition(".")[0] in LOSS_SECTIONS}


def _curve(folders: Sequence[RunFolder]) -> Chart | None:
    series = []
    for folder in folders:
        logged = [line for line in Curve(folder.curve_file).lines() if "loss" in line]
        series.append(([line["step"] for line in logged], [line["loss"] for line in logged]))
    if not any(steps for steps, _ in series):
        return None
    return Chart("Training loss", "Smoothed.", lines("losses", series, "loss"))


def _pictures(folder: RunFolder, names: Sequence[str], omitted: list[str]) -> list[Picture]:
    found = []
    for name in names:
        file = folder.samples / name
        data = attempt(str(file), lambda file=file: data_uri(file), omitted)  # type: ignore[misc]
        if data is not None:
            found.append(Picture(str(folder.root), "", data, wide=name == "density.png"))
    return found
