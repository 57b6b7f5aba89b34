"""The page of several runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fmcore.benchmark.compare import MAY_DIFFER, Column, Comparison, compare
from fmcore.report.charts import PALETTE, lines
from fmcore.report.numbers import describe_provenance
from fmcore.report.parts import Chart, Picture, attempt, data_uri
from fmcore.report.rendering import write_page
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve

__all__ = ["write_comparison_page"]

PICTURES = ("grid.png", "density.png")


def write_comparison_page(
    file: Path, folders: Sequence[RunFolder], comparison: Comparison | None = None
) -> None:
    """Write the comparison of `folders` to `file`: numbers, what tells the recipes apart, curves
    and samples.
    """
    found = compare(folders) if comparison is None else comparison
    omitted: list[str] = []
    ways = [_way(column) for column in found.columns]
    first = 1 + len(found.settings)  # of the numbers, which a person reads before the settings
    write_page(
        file,
        "comparison.html",
        title=f"{len(found.runs)} runs compared",
        heads=["run", *found.headings(), *found.settings],
        rows=[[row[0], *row[first:], *row[1:first]] for row in found.rows()],
        ways=list(zip(found.headings(), ways, strict=True)),
        reasons=found.reasons,
        runs=[(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(found.runs)],
        curve=attempt("the curves", lambda: _curve(folders), omitted),
        pictures=[p for folder in folders for p in _pictures(folder, omitted)],
        omitted=omitted,
    )


def _way(column: Column) -> str:
    """How the numbers of a column were made, but for what may differ between them."""
    one = next(iter(column.cells.values()))["provenance"]
    shared = {key: value for key, value in one.items() if key not in MAY_DIFFER}
    sampler = shared.get("sampler")
    if isinstance(sampler, Mapping):
        shared["sampler"] = {k: v for k, v in sampler.items() if k not in MAY_DIFFER}
    return describe_provenance(shared)


def _curve(folders: Sequence[RunFolder]) -> Chart | None:
    series = []
    for folder in folders:
        logged = [line for line in Curve(folder.curve_file).lines() if "loss" in line]
        series.append(([line["step"] for line in logged], [line["loss"] for line in logged]))
    if not any(steps for steps, _ in series):
        return None
    return Chart("Training loss", "Smoothed.", lines("losses", series, "loss"))


def _pictures(folder: RunFolder, omitted: list[str]) -> list[Picture]:
    found = []
    for name in PICTURES:
        file = folder.samples / name
        data = attempt(str(file), lambda file=file: data_uri(file), omitted)  # type: ignore[misc]
        if data is not None:
            found.append(Picture(str(folder.root), "", data, wide=name == "density.png"))
    return found
