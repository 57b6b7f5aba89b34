"""`fmcore explain`: formulas, schedules and a figure of paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmcore.cli.completing import path_words
from fmcore.cli.console import complain, print_json, styled, table
from fmcore.cli.options import json_option, plugin_option
from fmcore.cli.output_file import OutputFile
from fmcore.cli.settings import typed_options
from fmcore.errors import ComponentError, did_you_mean
from fmcore.recipe.catalog import SUFFIXES
from fmcore.recipe.load import load_recipe
from fmcore.registry import registry

if TYPE_CHECKING:
    from fmcore.report.explain import PathExplanation, PathRow

__all__ = ["explain"]

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


@click.command(short_help="Explain paths: formulas, schedule, a picture.")
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="PATH... [PATH.KEY=VALUE]...",
    shell_complete=path_words,
)
@click.option("--set", "settings", metavar="PATH.KEY=VALUE", multiple=True, help="Set an option.")
@click.option(
    "--rows",
    default=11,
    show_default=True,
    type=click.IntRange(2, 1001),
    help="Number of times in the table.",
)
@click.option(
    "--figure",
    metavar="FILE",
    type=OutputFile(*FIGURE_SUFFIXES),
    help="File of the figure, .png, .svg or .pdf; by default explain-PATH.png.",
)
@click.option("--no-figure", is_flag=True, help="Write no figure.")
@plugin_option
@json_option
def explain(
    words: tuple[str, ...],
    settings: tuple[str, ...],
    rows: int,
    figure: Path | None,
    no_figure: bool,
    as_json: bool,
) -> None:
    """Explain each PATH, or the path of a recipe: its formulas, alpha, sigma, log-SNR and speed
    over time, and a figure of schedules, conditional trajectories and marginal densities side by
    side.

    \b
      fmcore explain ot vp                      two paths, one figure
      fmcore explain ot ot.sigma_min=0.1        with an option
      fmcore explain digits.yaml vp             the path of a recipe and another one
    """
    if figure is not None and no_figure:
        raise click.UsageError("give --figure or --no-figure, not both")
    given = [*(word for word in words if "=" in word), *settings]
    shown = {_name(word): word for word in words if "=" not in word}
    options = _settings_by_path(list(shown), given)
    explained = [_explained(name, word, options[name]) for name, word in shown.items()]
    drawn = None if no_figure else figure or _default_figure(shown)
    if drawn is not None:
        from fmcore.report.plots.paths import save_paths_explained

        save_paths_explained(drawn, explained)
    if as_json:
        print_json([_as_dict(one, rows) for one in explained])
        if drawn is not None:
            complain(f"figure: {drawn}")
        return
    for one in explained:
        _print(one, one.rows(rows))
    if drawn is not None:
        click.echo(f"figure: {drawn}")


def _settings_by_path(names: Sequence[str], settings: Sequence[str]) -> dict[str, list[str]]:
    """Return the settings `KEY=VALUE` of each path.  Raises UsageError for any other path."""
    if not names:
        raise click.UsageError("name a path to explain, for example: fmcore explain ot")
    of: dict[str, list[str]] = {name: [] for name in names}
    for setting in settings:
        key = setting.partition("=")[0]
        name, dot, _ = key.partition(".")
        if dot and name in of:
            of[name].append(setting[len(name) + 1 :])
        elif len(of) == 1 and not dot:
            of[names[0]].append(setting)
        else:
            hint = did_you_mean(name, names) or ";"
            raise click.UsageError(
                f"'{setting}' sets an option of no path shown{hint} write {names[0]}.KEY=VALUE"
            )
    return of


def _name(word: str) -> str:
    """Return the name of a path; for a recipe, that of its file."""
    return Path(word).stem if word.endswith(SUFFIXES) else word


def _default_figure(names: Iterable[str]) -> Path:
    return Path(f"explain-{'-'.join(names)}.png".replace("/", "_"))


def _explained(name: str, word: str, settings: Sequence[str]) -> PathExplanation:
    from fmcore.interfaces.path import Path as PathInterface
    from fmcore.recipe.create import create_from
    from fmcore.report.explain import PathExplanation

    if word.endswith(SUFFIXES):
        recipe = load_recipe(word, [f"path.{setting}" for setting in settings], partial=True)
        return PathExplanation(name, recipe.build("path"))
    entry = registry().entry("path", name)
    path = create_from(entry, typed_options(entry, settings))
    if not isinstance(path, PathInterface):
        raise ComponentError(
            f"path '{name}' is a {type(path).__name__}, "
            "not an fmcore.Path: its class must inherit from that"
        )
    return PathExplanation(name, path)


def _print(one: PathExplanation, rows: Sequence[PathRow]) -> None:
    click.echo(f"{styled(one.name, bold=True)}: {one.path}\n")
    click.echo(f"{one.summary}\n")
    click.echo(f"{one.formulas}\n")
    click.echo(
        f"t runs over [{one.path.t_min:g}, {one.path.t_max:.10g}]; prior {one.path.prior()}\n"
    )
    heads = ("t", "alpha", "sigma", "log-SNR", "|ut|")
    table(heads, [tuple(_number(value) for value in asdict(row).values()) for row in rows])
    click.echo()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _as_dict(one: PathExplanation, rows: int) -> dict[str, object]:
    return {
        "name": one.name,
        "path": repr(one.path),
        "summary": one.summary,
        "formulas": one.formulas,
        "t_min": one.path.t_min,
        "t_max": one.path.t_max,
        "prior": repr(one.path.prior()),
        "rows": [{k: _finite(v) for k, v in asdict(row).items()} for row in one.rows(rows)],
    }


def _finite(value: float | None) -> float | str | None:
    """Return infinities as text, since JSON has none: log-SNR is infinite at an end."""
    return str(value) if value in (float("inf"), float("-inf")) else value
