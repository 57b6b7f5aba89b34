"""`fmcore plugins check`: run the conformance suite of a component's kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fmcore.cli.completing import component_names, setting_keys
from fmcore.cli.console import mark, print_json
from fmcore.cli.options import json_option, kind_option, plugin_option
from fmcore.cli.plugins.find import find_component
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
@plugin_option
@json_option
@click.pass_context
def check(
    ctx: click.Context, name: str, kind: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Run the conformance suite of its kind on the component NAME, or PLUGIN/NAME.

    Exits with 0 if every check passes, else with 1.  A dataset needs its files; a model is built
    for images of the suite's shape unless --set shape=[3,32,32] sets another.

    \b
      fmcore plugins check ot --set sigma_min=0.01
      fmcore plugins check mine --plugin my_path.py
    """
    from fmcore.testing import run_suite

    entry = find_component(name, kind)
    if entry.kind == RECIPE:
        raise click.UsageError(
            f"a recipe has no suite; use: fmcore recipes check {entry.qualified}"
        )
    results = run_suite(_suite(entry, _options(entry, settings)))
    passed = all(result.passed for result in results)
    if as_json:
        print_json(_as_dict(entry, results, passed))
    else:
        _print(entry, results)
    ctx.exit(0 if passed else 1)


def _suite(entry: Entry, options: Mapping[str, Any]) -> Suite:
    """Return the suite of the kind, with this component to test."""
    from fmcore.testing import suite_of

    made: Suite = type(f"{entry.kind} {entry.name}", (suite_of(entry.kind, entry.load()),), {})()
    for name in MODEL & options.keys() if entry.kind == "model" else ():
        setattr(made, name, options[name])
    accepted = {option.name for option in list_options(entry.load(), KINDS[entry.kind].given)}
    given = {n: getattr(made, n) for n in KINDS[entry.kind].given if n in accepted}
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
