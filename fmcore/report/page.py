"""The HTML page of one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmcore.registry import registry
from fmcore.report import facts
from fmcore.report.gallery import curves, histograms, pictures, progress, sounds, texts
from fmcore.report.numbers import Number, number
from fmcore.report.parts import attempt
from fmcore.report.rendering import write_page
from fmcore.report.run_contents import read_run
from fmcore.runs.folder import RunFolder

__all__ = ["make_report", "write_report"]


def write_report(folder: RunFolder) -> None:
    """Write report.html at the end of a run.  A failure is only a warning: the run succeeded."""
    try:
        make_report(folder)
    except Exception as error:
        folder.log(f"warning: no report: {type(error).__name__}: {error}")


def make_report(folder: RunFolder) -> Path:
    """Write report.html into `folder`, from the files there, and return its path.

    Missing files are left out; corrupt files are listed on the page.  Raises RunError if the page
    cannot be written.
    """
    file, omitted = folder.root / "report.html", list[str]()
    run = read_run(folder, omitted)
    numbers = attempt("the table of results", lambda: _numbers(run.results), omitted) or []
    write_page(
        file,
        "run.html",
        title=run.facts.get("recipe") or folder.root.name,
        where=str(folder.root),
        summary=attempt("the summary", lambda: facts.summary(run), omitted) or "",
        numbers=numbers,
        pictures=pictures(run, omitted),
        sounds=sounds(run, omitted),
        texts=texts(run, omitted),
        progress=progress(run, omitted),
        curves=curves(run, omitted),
        histograms=histograms(run, omitted),
        sections=attempt("the recipe", lambda: facts.sections(run), omitted) or {},
        timings=attempt("the timings", lambda: facts.timings(run), omitted) or {},
        environment=attempt("the environment", lambda: facts.environment(run), omitted) or {},
        commands=attempt("how to repeat", lambda: facts.commands(run), omitted) or {},
        warnings=attempt("warnings", lambda: facts.warnings(run, numbers), omitted) or [],
        omitted=omitted,
    )
    return file


def _numbers(results: Mapping[str, Any]) -> list[Number]:
    summaries = {entry.name: entry.summary for entry in registry().entries("metric")}
    return [number(name, result, summaries.get(name, "")) for name, result in results.items()]
