"""`fmcore compare`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.console import complain, print_json, table
from fmcore.cli.options import json_option, plugin_option
from fmcore.cli.output_file import OutputFile
from fmcore.cli.run_folder import runs_argument
from fmcore.errors import RunError

__all__ = ["compare"]


@click.command(short_help="Compare the results of runs.")
@runs_argument
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--latex", is_flag=True, help="Print the table as LaTeX.")
@click.option(
    "--html",
    metavar="FILE",
    type=OutputFile(".html", ".htm"),
    help="Also write an HTML page.",
)
@plugin_option
@json_option
def compare(
    runs: tuple[Path, ...], markdown: bool, latex: bool, html: Path | None, as_json: bool
) -> None:
    """Compare the results of each RUN in a table with a column for every metric.

    Values that were computed in different ways are in separate columns, and a line names the
    differences.  The plugins of the runs are not needed.

    \b
      fmcore compare runs/digits/* --html compared.html
    """
    from fmcore.benchmark.compare import compare as compare_runs
    from fmcore.runs.folder import RunFolder

    if sum((as_json, markdown, latex)) > 1:
        raise click.UsageError("one format is printed: --markdown, --latex or --json")
    folders = [RunFolder.open(run) for run in runs]
    found = compare_runs(folders)
    if html is None and not found.columns:  # a page shows curves and samples all the same
        raise RunError("\n".join(["no results to compare", *found.reasons]))
    if html is not None:
        from fmcore.benchmark.compare_page import write_comparison_page

        write_comparison_page(html, folders, found)
        complain(f"written to {html}")
    if as_json:
        columns = [{"metric": c.metric, "way": c.way, "cells": c.cells} for c in found.columns]
        print_json({"runs": found.runs, "settings": found.settings, "columns": columns})
    elif markdown:
        click.echo(found.markdown(), nl=False)
    elif latex:
        click.echo(found.latex(), nl=False)
    else:
        table(*found.table())
        for note in found.notes:
            complain(note)
