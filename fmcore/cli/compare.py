"""`fmcore compare`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import run_folders
from fmcore.cli.console import complain, print_json, table
from fmcore.cli.options import json_option, plugin_option

__all__ = ["compare"]


@click.command(short_help="Put the results of runs beside each other.")
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN...",
    type=click.Path(path_type=Path),
    shell_complete=run_folders,
)
@click.option("--markdown", is_flag=True, help="Print a table for a page.")
@click.option("--latex", is_flag=True, help="Print a table for a paper.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page too.")
@plugin_option
@json_option
def compare(
    runs: tuple[Path, ...], markdown: bool, latex: bool, html: Path | None, as_json: bool
) -> None:
    """Put the results of each RUN beside each other: a column for every metric.

    Numbers that were not made alike get columns of their own, and a line says what differs.

    \b
      fmcore compare runs/digits/* --html compared.html
    """
    from fmcore.benchmark.compare import compare as compared
    from fmcore.runs.folder import RunFolder

    folders = [RunFolder.open(run) for run in runs]
    found = compared(folders)
    if html is not None:
        from fmcore.benchmark.compare_page import write_comparison_page

        write_comparison_page(html, folders, found)
    if as_json:
        columns = [{"metric": c.metric, "way": c.way, "cells": c.cells} for c in found.columns]
        settings = {k: {r: str(x) for r, x in v.items()} for k, v in found.settings.items()}
        print_json({"runs": found.runs, "settings": settings, "columns": columns})
    elif markdown:
        click.echo(found.markdown(), nl=False)
    elif latex:
        click.echo(found.latex(), nl=False)
    else:
        table(*found.table())
        for reason in found.reasons:
            complain(reason)
