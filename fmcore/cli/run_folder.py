"""The arguments RUN and RUN...: folders of runs, checked before torch is imported."""

from __future__ import annotations

from pathlib import Path

import click

from fmcore.cli.completing import run_folders
from fmcore.errors import RunError, did_you_mean
from fmcore.recipe.catalog import SUFFIXES, list_recipes

__all__ = ["run_argument", "runs_argument"]

MAX_LISTED = 5


def _check_one(ctx: click.Context, parameter: click.Parameter, run: Path) -> Path:
    """Return `run`.  Raises RunError with what to type instead if it is no folder of a run."""
    if not ctx.resilient_parsing:
        require_run_folder(run)
    return run


def _check_all(
    ctx: click.Context, parameter: click.Parameter, runs: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Return the runs, each once.  Raises RunError as `_check_one` does."""
    for run in () if ctx.resilient_parsing else runs:
        require_run_folder(run)
    return tuple(dict.fromkeys(runs))


def require_run_folder(run: Path) -> None:
    """Raise RunError with what to type instead if `run` is no folder of a run."""
    if (run / "recipe.yaml").is_file():
        return
    if run.is_dir():
        own = sorted(str(file.parent) for file in _recipes_below(run))
        hint = f"; runs in it: {', '.join(own[:MAX_LISTED])}" if own else ""
        raise RunError(f"{run}: not a run folder: it has no recipe.yaml{hint}")
    if run.name == "recipe.yaml" and run.is_file():
        raise RunError(f"{run}: name the folder of the run: {run.parent}")
    if run.suffix in SUFFIXES:
        raise RunError(f"{run}: a run folder is needed, not a recipe; first: fmcore run {run}")
    if run.exists():
        raise RunError(f"{run}: a file, not a run folder")
    hint = did_you_mean(str(run), _run_folders(run))
    if not hint and str(run) in [recipe.name for recipe in list_recipes()]:
        hint = f": it is a recipe; first: fmcore run {run}"
    raise RunError(
        f"{run}: no such run folder{hint or '; runs are in runs/ unless --out was given'}"
    )


def _recipes_below(folder: Path) -> list[Path]:
    """The recipes of runs in `folder`, such as `runs/`, which has a folder for each recipe."""
    return [*folder.glob("*/recipe.yaml"), *folder.glob("*/*/recipe.yaml")]


def _run_folders(run: Path) -> list[str]:
    """The runs in `runs/` and those next to `run`."""
    files = [*Path("runs").glob("*/*/recipe.yaml"), *run.parent.glob("*/recipe.yaml")]
    return [str(file.parent) for file in files]


run_argument = click.argument(
    "run", type=click.Path(path_type=Path), callback=_check_one, shell_complete=run_folders
)
"""For commands that work on a finished run."""

runs_argument = click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN...",
    type=click.Path(path_type=Path),
    callback=_check_all,
    shell_complete=run_folders,
)
"""For commands that work on several."""
