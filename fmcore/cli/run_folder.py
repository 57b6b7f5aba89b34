"""The argument RUN: the folder of a run, checked before torch is imported."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import run_folders
from fmcore.errors import RunError, did_you_mean

__all__ = ["run_argument"]

RECIPE_SUFFIXES = (".yaml", ".yml")


def _check(ctx: click.Context, parameter: click.Parameter, run: Path) -> Path:
    """Return `run`.  Raises RunError with what to type instead if it is no folder."""
    if ctx.resilient_parsing or run.is_dir():
        return run
    if run.name == "recipe.yaml" and run.is_file():
        raise RunError(f"{run}: name the folder of the run: {run.parent}")
    if run.suffix in RECIPE_SUFFIXES:
        raise RunError(f"{run}: a run folder is needed, not a recipe; first: fmcore run {run}")
    if run.exists():
        raise RunError(f"{run}: a file, not a run folder")
    hint = did_you_mean(str(run), _run_folders(run))
    raise RunError(
        f"{run}: no such run folder{hint or '; runs are in runs/ unless --out was given'}"
    )


def _run_folders(run: Path) -> list[str]:
    """The runs in `runs/` and those next to `run`."""
    files = [*Path("runs").glob("*/*/recipe.yaml"), *run.parent.glob("*/recipe.yaml")]
    return [str(file.parent) for file in files]


run_argument = click.argument(
    "run", type=click.Path(path_type=Path), callback=_check, shell_complete=run_folders
)
"""For commands that work on a finished run."""
