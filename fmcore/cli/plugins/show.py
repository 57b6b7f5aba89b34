"""`fmcore plugins show`: a component, its options and its source file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import click

from fmcore.cli.completing import component_names, setting_keys
from fmcore.cli.console import folded, print_json, styled, table
from fmcore.cli.imports import without_collection
from fmcore.cli.options import json_option, kind_option, plugin_option
from fmcore.cli.plugins.facts import facts_of, plan_of
from fmcore.cli.plugins.find import find_component
from fmcore.cli.plugins.ls import as_dict
from fmcore.recipe.dump import to_yaml, to_yaml_line
from fmcore.recipe.nodes import MISSING
from fmcore.recipe.options import Option
from fmcore.recipe.schema import list_options
from fmcore.registry import Entry, registry
from fmcore.registry.hooks import RECIPE
from fmcore.registry.kinds import KINDS

__all__ = ["show"]

PLACES = {
    "source": ("path", "source"),
    "solver": ("sample", "solver"),
    "metric": ("evaluate", "metrics"),
    "time": ("objective", "time"),
    "optimizer": ("train", "optimizer"),
    "lr_schedule": ("train", "lr_schedule"),
    "callback": ("train", "callbacks"),
}
"""The section and key of kinds that have no section of their own."""


PLAN_HELP = "List the computations of a fixed solver in STEPS steps."


@click.command(short_help="Show a component: options, defaults, source file.")
@click.argument("name", shell_complete=component_names())
@kind_option
@plugin_option
@json_option
@click.option(
    "--set",
    "given",
    metavar="OPTION=VALUE",
    multiple=True,
    help="Set an option, for the facts and --plan.",
    shell_complete=setting_keys("", "name"),
)
@click.option("--plan", "steps", metavar="STEPS", type=click.IntRange(1), help=PLAN_HELP)
@click.option(
    "--path",
    metavar="PATH",
    default="ot",
    show_default=True,
    help="The path of --plan.",
    shell_complete=component_names("path"),
)
def show(
    name: str, kind: str | None, as_json: bool, given: tuple[str, ...], steps: int | None, path: str
) -> None:
    """Show the component NAME, or PLUGIN/NAME: docstring, options, YAML to paste, source file.

    \b
      fmcore plugins show ot
      fmcore plugins show unipc --set p=3 --plan 4
    """
    entry = find_component(name, kind)
    if entry.kind == RECIPE:
        click.echo(f"{entry.title}: {entry.target}\nsee: fmcore recipes show {entry.qualified}")
        return
    with without_collection():
        target = entry.load()
    own = list_options(target, KINDS[entry.kind].given)
    facts = facts_of(entry, given)
    plan = None if steps is None else plan_of(entry, given, steps, path)
    if as_json:
        more = {"facts": facts} | ({} if plan is None else {"plan": plan})
        print_json(_as_dict(entry, target, own) | more)
    else:
        _print(entry, target, own, facts)
        if plan is not None:
            click.echo(f"\n{plan}")


def _as_dict(entry: Entry, target: type, own: Sequence[Option]) -> dict[str, Any]:
    return as_dict(entry) | {
        "doc": _doc(target),
        "code": _code(target),
        "options": [_option_as_dict(option) for option in own],
        "yaml": _yaml(entry, own),
    }


def _option_as_dict(option: Option) -> dict[str, Any]:
    described = {"name": option.name, "type": option.type_text, "required": option.required}
    return described if _unset(option) else described | {"default": _default(option)}


def _print(entry: Entry, target: type, own: Sequence[Option], facts: Mapping[str, str]) -> None:
    click.echo(f"{styled(entry.kind, bold=True)} {styled(entry.name, bold=True)}: {entry.summary}")
    click.echo(f"plugin {entry.plugin} {entry.version}, {entry.target_text}")
    click.echo(f"{_code(target)}\n")
    click.echo(f"{folded(_doc(target))}\n")
    if facts:
        width = max(map(len, facts))
        click.echo("".join(f"{fact:{width}}  {text}\n" for fact, text in facts.items()))
    if own:
        table(("OPTION", "TYPE", "DEFAULT"), [_row(option) for option in own])
        click.echo()
    click.echo(_yaml(entry, own).rstrip())


def _row(option: Option) -> tuple[str, str, str]:
    if option.given:
        default = "the data's"
    else:
        default = "required" if _unset(option) else to_yaml_line(_default(option))
    return option.name, option.type_text, default


def _yaml(entry: Entry, own: Sequence[Option]) -> str:
    """Return the component with all its options, as YAML for a recipe; `???` has to be set."""
    same_name = [e for e in registry().entries(entry.kind) if e.name == entry.name]
    name = entry.name if len(same_name) == 1 else entry.qualified
    values = {o.name: MISSING if _unset(o) else _default(o) for o in own if not o.given}
    part: Any = {"name": name, **values}
    part = [part] if entry.kind in ("metric", "callback") else part
    for key in reversed(PLACES.get(entry.kind, (entry.kind,))):
        part = {key: part}
    return to_yaml(part)


def _unset(option: Option) -> bool:
    """Return whether there is no default to show."""
    return option.required or option.given


def _default(option: Option) -> Any:
    from fmcore.recipe.nodes import Mark, to_python
    from fmcore.recipe.options import to_node

    return to_python(to_node(option.default, Mark("default")))


def _doc(target: type) -> str:
    """Return the docstring; not the signature that a dataclass without one gets."""
    doc = inspect.getdoc(target) or ""
    return "(no docstring)" if not doc or doc.startswith(f"{target.__name__}(") else doc


def _code(target: type) -> str:
    """Return `file:line` of the class."""
    try:
        return f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"
    except (OSError, TypeError):  # defined without a source file
        return "(no source file)"
