"""`fmcore plugins check`: run the conformance suite of a component's kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmcore.cli.completing import component_names, setting_keys
from fmcore.cli.console import mark, print_json
from fmcore.cli.options import json_option, kind_option, plugin_option
from fmcore.cli.plugins.find import find_component
from fmcore.cli.plugins.suite_options import conditions_option, pairs_option, set_up, shape_option
from fmcore.cli.settings import typed_options
from fmcore.errors import ComponentError
from fmcore.recipe.create import create_from
from fmcore.recipe.schema import list_options
from fmcore.registry import Entry
from fmcore.registry.hooks import RECIPE
from fmcore.registry.kinds import KINDS

if TYPE_CHECKING:
    from fmcore.testing import CheckResult, Suite

__all__ = ["check"]

STEPS = 16  # of a fixed solver without a budget
MODEL = {"shape", "classes", "entries"}
"""Options of a model that its suite has to know too."""


@click.command(short_help="Run the conformance suite of a component.")
@click.argument("name", shell_complete=component_names())
@kind_option
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set an option of the component.",
    shell_complete=setting_keys("", "name"),
)
@shape_option
@conditions_option
@pairs_option
@plugin_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    name: str,
    kind: str | None,
    settings: tuple[str, ...],
    shape: tuple[int, ...] | None,
    conditions: dict[str, Any],
    pairs: Path | None,
    as_json: bool,
) -> None:
    """Run the conformance suite of its kind on the component NAME, or PLUGIN/NAME.

    Exits with 0 if every check passes, else with 1.  A dataset needs its files.  A model is built
    for images 3x8x8 without conditions, a source draws pairs of numbers: --shape and --condition
    set others.

    \b
      fmcore plugins check ot --set sigma_min=0.01
      fmcore plugins check mlp --shape 2 --condition c=3:droppable --set conditions=[c]
      fmcore plugins check mine --plugin my_path.py
    """
    from fmcore.testing import run_suite

    entry = find_component(name, kind)
    if entry.kind == RECIPE:
        raise click.UsageError(
            f"a recipe has no suite; use: fmcore recipes check {entry.qualified}"
        )
    options = _options(entry, settings)
    made = _suite_of(entry)
    set_up(made, entry.kind, shape, conditions, pairs)
    results = run_suite(_with_component(made, entry, options))
    passed = all(result.passed for result in results)
    if as_json:
        print_json(_as_dict(entry, results, passed))
    else:
        _print(entry, results)
    ctx.exit(0 if passed else 1)


def _suite_of(entry: Entry) -> Suite:
    """Return the suite of the kind, without a component."""
    from fmcore.testing import suite_of

    made: Suite = type(f"{entry.kind} {entry.name}", (suite_of(entry.kind, entry.load()),), {})()
    return made


def _with_component(made: Suite, entry: Entry, options: Mapping[str, Any]) -> Suite:
    """Return the suite with the component of these options to test."""
    for name in MODEL & options.keys() if entry.kind == "model" else ():
        setattr(made, name, options[name])
    accepted = {option.name for option in list_options(entry.load(), KINDS[entry.kind].given)}
    # without a space the component has its default, R^n, where the points of the suite lie
    filled = [n for n in KINDS[entry.kind].given if n in accepted and hasattr(made, n)]
    given = {n: getattr(made, n) for n in filled}
    if entry.kind == "model" and made.classes and "classes" in accepted:  # type: ignore[attr-defined]
        given["classes"] = made.classes  # type: ignore[attr-defined]
    chosen = given | _budget(entry, options) | dict(options)
    made.component = lambda: create_from(entry, chosen)  # type: ignore[method-assign]
    made.component()  # raises for wrong options here, once, and not in every check
    return made


def _budget(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """Steps for a fixed solver that was given no budget: its signature cannot hold a default."""
    names = {option.name for option in list_options(entry.load())}
    fixed = entry.kind == "solver" and {"nfe", "steps"} <= names
    return {"steps": STEPS} if fixed and not {"nfe", "steps", "grid"} & options.keys() else {}


def _options(entry: Entry, settings: Sequence[str]) -> dict[str, Any]:
    """Return the options of `--set`, with their types."""
    try:
        return typed_options(entry, settings)
    except ComponentError as error:
        raise ComponentError(f"{error}\noptions are given as --set KEY=VALUE") from error


def _as_dict(entry: Entry, results: Sequence[CheckResult], passed: bool) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "plugin": entry.plugin,
        "version": entry.version,
        "passed": passed,
        "checks": [asdict(result) for result in results],
    }


def _print(entry: Entry, results: Sequence[CheckResult]) -> None:
    click.echo(entry.title)
    for result in results:
        click.echo(_line(result))
    failed = sum(not result.passed for result in results)
    skipped = sum(result.skipped for result in results)
    passed = len(results) - failed - skipped
    click.echo(f"{passed} passed, {failed} failed, {skipped} skipped")


def _line(result: CheckResult) -> str:
    """Return a mark, the check's name as words, and its message if it has one."""
    name = result.name.removeprefix("test_").replace("_", " ")
    if result.skipped:
        return f"{mark('note')} {name}: skipped, {result.message}"
    if result.passed:
        return f"{mark('ok')} {name}"
    law = f"\n      law: {result.law}" if result.law else ""
    return f"{mark('broken')} {name}\n      {result.message}{law}"
