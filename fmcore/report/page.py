"""The page of one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmcore.registry import registry
from fmcore.report import facts
from fmcore.report.gallery import curves, histograms, pictures, progress
from fmcore.report.numbers import Number, number
from fmcore.report.parts import attempt
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
    file, omitted = folder.root / "report.html", list[str]()
    results = attempt("results.json", folder.results, omitted) or {}
    numbers = attempt("the table of results", lambda: _numbers(results), omitted) or []
    write_page(
        file,
        "run.html",
        title=attempt("the name", lambda: folder.facts().get("recipe"), omitted)
        or folder.root.name,
        where=str(folder.root),
        summary=attempt("the summary", lambda: facts.summary(folder, results), omitted) or "",
        numbers=numbers,
        pictures=pictures(folder, omitted),
        progress=progress(folder, omitted),
        curves=attempt("the curves", lambda: curves(folder, omitted), omitted) or [],
        histograms=histograms(folder, omitted),
        sections=attempt("the recipe", lambda: facts.sections(folder), omitted) or {},
        timings=attempt("the timings", lambda: facts.timings(folder), omitted) or {},
        environment=attempt("the environment", lambda: facts.environment(folder), omitted) or {},
        commands=attempt("how to repeat", lambda: facts.commands(folder), omitted) or {},
        warnings=attempt("warnings", lambda: facts.warnings(folder, numbers), omitted) or [],
        omitted=omitted,
    )
    return file


def _numbers(results: Mapping[str, Any]) -> list[Number]:
    known = {entry.name: entry.summary for entry in registry().entries("metric")}
    return [number(name, result, known.get(name, "")) for name, result in results.items()]
