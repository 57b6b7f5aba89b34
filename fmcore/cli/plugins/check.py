"""`fmcore plugins check`: the conformance suite of a component's kind, run on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fmcore.cli.console import mark, print_json
from fmcore.cli.options import json_option, kind_option, plugin_option
from fmcore.cli.plugins.naming import named
from fmcore.errors import ComponentError
from fmcore.kinds import KINDS
from fmcore.plugins import Entry
from fmcore.plugins.create import construct
from fmcore.plugins.hooks import RECIPE

if TYPE_CHECKING:
    from fmcore.testing import CheckResult, Suite

__all__ = ["check"]

STEPS = 16


@click.command(short_help="Run the conformance suite of a component.")
@click.argument("name")
@kind_option
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set an option of it.")
@plugin_option
@json_option
@click.pass_context
def check(
    ctx: click.Context, name: str, kind: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Check that component NAME, or PLUGIN/NAME, keeps the laws of its kind.

    Exits with 0 if every check passes, else with 1.  A data set needs its files; a model is built
    for the suite's data unless --set shape=[3,32,32] says otherwise.
    """
    from fmcore.testing import run_suite

    entry = named(name, kind)
    if entry.kind == RECIPE:
        raise click.UsageError(
            f"a recipe has no suite; use: fmcore recipes check {entry.qualified}"
        )
    results = run_suite(_suite(entry, _typed(entry, settings)))
    passed = all(result.passed for result in results)
    if as_json:
        print_json(_as_dict(entry, results, passed))
    else:
        _print(entry, results)
    ctx.exit(0 if passed else 1)


def _suite(entry: Entry, options: Mapping[str, Any]) -> Suite:
    """The suite of the kind, with this component to test."""
    from fmcore.testing import suite_of

    made: Suite = type(f"{entry.kind} {entry.name}", (suite_of(entry.kind),), {})()
    for name, value in options.items():
        if hasattr(made, name):  # what the suite has to know too: a model's shape and classes
            setattr(made, name, value)
    given = {name: getattr(made, name) for name in KINDS[entry.kind].given}
    chosen = given | _budget(entry, options) | dict(options)
    made.component = lambda: construct(entry, chosen)  # type: ignore[method-assign]
    made.component()  # an error in the options is told once, not by every check
    return made


def _budget(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """Steps for a fixed solver that was given no budget: its signature cannot hold a default."""
    from fmcore.solving import FixedSolver

    given = {"nfe", "steps", "grid"} & options.keys()
    return {} if given or not issubclass(entry.load(), FixedSolver) else {"steps": STEPS}


def _typed(entry: Entry, settings: Sequence[str]) -> dict[str, Any]:
    """Options of the command line in their types.  Raises ComponentError with all faults."""
    from fmcore.recipe.components import read_options
    from fmcore.recipe.faults import Faults
    from fmcore.recipe.nodes import COMMAND_LINE, Block
    from fmcore.recipe.overrides import layer
    from fmcore.recipe.schema import build_options, options
    from fmcore.recipe.types import Reading

    target, faults = entry.load(), Faults()
    reading = Reading(faults=faults, construct=False, defaults=False)
    own = options(target, KINDS[entry.kind].given)
    what = f"{entry.kind} '{entry.name}'"
    read = read_options(own, layer(settings, faults), what, "", reading)
    if len(faults):
        raise ComponentError("\n".join(f"{where}: {message}" for where, message in faults.found))
    return build_options(target, Block(COMMAND_LINE, read))


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
    """A mark, the check's name as words, and the message where there is one."""
    name = result.name.removeprefix("test_").replace("_", " ")
    if result.skipped:
        return f"{mark('note')} {name}: skipped, {result.message}"
    if result.passed:
        return f"{mark('ok')} {name}"
    law = f"\n      law: {result.law}" if result.law else ""
    return f"{mark('broken')} {name}\n      {result.message}{law}"
