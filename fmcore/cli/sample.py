"""`fmcore sample`."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import override_keys
from fmcore.cli.options import changes_option, plugin_option, quiet_option
from fmcore.cli.output_file import OutputFile
from fmcore.cli.run_folder import run_argument
from fmcore.cli.summary import drawn

__all__ = ["sample"]


@click.command(short_help="Draw samples from a finished run again.")
@run_argument
@click.argument(
    "overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=override_keys("sample")
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda or mps; by default the best there is.")
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw into this folder; by default the run, or RUN/variants where it has other samples.",
)
@click.option(
    "--pairs",
    metavar="FILE",
    type=OutputFile(".safetensors"),
    help="Write pairs of noise and sample to FILE instead, to train reflow on.",
)
@changes_option
@plugin_option
@quiet_option
def sample(
    run: Path,
    overrides: tuple[str, ...],
    device: str | None,
    to: Path | None,
    pairs: Path | None,
    accept_changes: bool,
    quiet: bool,
) -> None:
    """Draw samples from the run in folder RUN again.

    KEY=VALUE overrides an option of its sample section.  Samples and results that RUN has stay:
    other samples go to a run folder of their own, which fmcore evaluate, report and compare take.

    \b
      fmcore sample runs/digits/20260101-120000 solver=rk4 solver.nfe=16 --to rk4
    """
    from fmcore import stages

    if pairs is not None and to is not None:
        raise click.UsageError("--pairs writes one file and no run folder: leave out --to")
    if pairs is not None:
        stages.pairs(run, pairs, overrides, device=device)
        click.echo(pairs)
        return
    made = stages.sample(
        run, overrides, to=to, device=device, quiet=quiet, accept_changes=accept_changes
    )
    settings = made.components.sample
    if made.folder.is_main:  # of several processes one prints
        click.echo(drawn(made.folder.root, made.nfe(), settings.count if settings else 0))
