"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import click

from fmcore.cli.console import complain
from fmcore.cli.outcome import debugging
from fmcore.errors import PluginError
from fmcore.registry import registry
from fmcore.registry.hooks import RECIPE
from fmcore.registry.kinds import KINDS

__all__ = [
    "changes_option",
    "engine_option",
    "jobs_option",
    "json_option",
    "kind_option",
    "plugin_option",
    "quiet_option",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _load_plugins(ctx: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    """Load the files, and warn in one line if an installed plugin failed."""
    known = registry()
    for file in files:
        # shell completion shows no errors
        with suppress(PluginError) if ctx.resilient_parsing else nullcontext():
            known.add_file(file)
    failed = sorted({failure.plugin for failure in known.failures})
    if failed and not ctx.resilient_parsing:
        complain(f"failed plugins: {', '.join(failed)}; see `fmcore plugins`", "warning")
        if debugging():
            for failure in known.failures:
                complain(failure.traceback or str(failure))


plugin_option: Decorator = click.option(
    "--plugin",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_load_plugins,
    help="Load a plugin of one file; may be given more than once.",
)
"""For every command that uses components."""

json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for other programs."
)

quiet_option: Decorator = click.option(
    "--quiet", "-q", is_flag=True, help="Show no progress; warnings and errors stay."
)

jobs_option: Decorator = click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    help="Parallel runs of a recipe; by default 1, with --engine submitit all.",
)

engine_option: Decorator = click.option(
    "--engine",
    metavar="ENGINE",
    default="process",
    help="process (default), or submitit: each run is a job of Slurm; it needs the extra 'slurm'. "
    "Options: '{name: submitit, timeout_min: 60, slurm_partition: gpu}'.",
)
"""For commands that make many runs."""

changes_option: Decorator = click.option(
    "--accept-changes",
    is_flag=True,
    help="Continue with data or plugins that changed since the run began; run.json records it.",
)

kind_option: Decorator = click.option(
    "--kind", metavar="KIND", type=click.Choice([*KINDS, RECIPE]), help="Of this kind only."
)
