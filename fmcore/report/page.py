"""The page of one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmcore.registry import registry
from fmcore.report import facts
from fmcore.report.gallery import curves, histograms, pictures, progress
from fmcore.report.numbers import Number, number
from fmcore.report.parts import attempted
from fmcore.report.rendering import write_page
from fmcore.runs.folder import RunFolder

__all__ = ["make_report", "write_report"]


def write_report(folder: RunFolder) -> None:
    """Write report.html at the end of a run; a failure is a warning, since the run is done."""
    try:
        make_report(folder)
    except Exception as error:
        folder.log(f"warning: no report: {type(error).__name__}: {error}")


def make_report(folder: RunFolder) -> Path:
    """Write report.html into `folder`, from what lies there, and return its path.

    What is missing or torn is left out with a word on the page.  Raises RunError if the page itself
    cannot be written.
    """
    file, missed = folder.root / "report.html", list[str]()
    results = attempted("results.json", folder.results, missed) or {}
    numbers = attempted("the table of results", lambda: _numbers(results), missed) or []
    write_page(
        file,
        "run.html",
        title=attempted("the name", lambda: folder.facts().get("recipe"), missed)
        or folder.root.name,
        where=str(folder.root),
        summary=attempted("the summary", lambda: facts.summary(folder, results), missed) or "",
        numbers=numbers,
        pictures=pictures(folder, missed),
        progress=progress(folder, missed),
        curves=attempted("the curves", lambda: curves(folder, missed), missed) or [],
        histograms=histograms(folder, missed),
        sections=attempted("the recipe", lambda: facts.sections(folder), missed) or {},
        timings=attempted("the timings", lambda: facts.timings(folder), missed) or {},
        environment=attempted("the environment", lambda: facts.environment(folder), missed) or {},
        commands=attempted("how to repeat", lambda: facts.commands(folder), missed) or {},
        warnings=attempted("warnings", lambda: facts.warnings(folder, numbers), missed) or [],
        missed=missed,
    )
    return file


def _numbers(results: Mapping[str, Any]) -> list[Number]:
    known = {entry.name: entry.summary for entry in registry().entries("metric")}
    return [number(name, result, known.get(name, "")) for name, result in results.items()]
