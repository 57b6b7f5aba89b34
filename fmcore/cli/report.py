"""`fmcore report`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.options import plugin_option
from fmcore.cli.run_folder import run_argument

__all__ = ["report"]


@click.command(short_help="Write the page of a run again.")
@run_argument
@plugin_option
def report(run: Path) -> None:
    """Write report.html of the run in folder RUN again, from its files, and print the path.

    \b
      fmcore report runs/digits/20260101-120000
    """
    from fmcore.report.page import make_report
    from fmcore.runs.folder import RunFolder

    click.echo(make_report(RunFolder.open(run)))
