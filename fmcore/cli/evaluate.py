"""`fmcore evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import override_keys
from fmcore.cli.options import changes_option, plugin_option, quiet_option
from fmcore.cli.run_folder import run_argument
from fmcore.cli.summary import summary

__all__ = ["evaluate"]


@click.command(short_help="Measure a finished run again.")
@run_argument
@click.argument(
    "overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=override_keys("evaluate")
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best there is.")
@changes_option
@plugin_option
@quiet_option
def evaluate(
    run: Path, overrides: tuple[str, ...], device: str | None, accept_changes: bool, quiet: bool
) -> None:
    """Measure the run in folder RUN again.

    KEY=VALUE overrides an option of its evaluate section.  Samples that were not kept are drawn
    again.  A folder without a run: fmcore measure.

    \b
      fmcore evaluate runs/digits/20260101-120000 count=100
    """
    from fmcore import stages

    made = stages.evaluate(
        run, overrides, device=device, quiet=quiet, accept_changes=accept_changes, check=False
    )
    if made.folder.is_main:  # of several processes one prints
        click.echo(summary(made.folder.root, made.results))
        made.check_expectations()
