"""`fmcore report`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import run_folders
from fmcore.cli.options import plugin_option

__all__ = ["report"]


@click.command(short_help="Write the page of a run again.")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=run_folders)
@plugin_option
def report(run: Path) -> None:
    """Write report.html of the run in folder RUN again, from its files, and print the path.

    \b
      fmcore report runs/digits/20260101-120000
    """
    from fmcore.report.page import make_report
    from fmcore.runs.folder import RunFolder

    click.echo(make_report(RunFolder.open(run)))
