"""Two optional methods of components, for `fmcore plugins show`.

`facts() -> Mapping[str, str]` describes what its options do not show, such as a solver's order.
`written_plan(steps, path) -> str` lists its computations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from fmcore.errors import ComponentError
from fmcore.recipe.create import create_from
from fmcore.recipe.nodes import to_python
from fmcore.recipe.overrides import parse_value
from fmcore.registry import Entry

__all__ = ["facts_of", "plan_of"]


def facts_of(entry: Entry, given: Sequence[str]) -> dict[str, str]:
    """Return the component's facts; none without the method, or if options are required."""
    if not given and not hasattr(entry.load(), "facts"):
        return {}
    try:
        component = _create(entry, given)
    except ComponentError:
        if given:
            raise
        return {}
    return dict(component.facts()) if hasattr(component, "facts") else {}


def plan_of(entry: Entry, given: Sequence[str], steps: int, path: str) -> str:
    """Return the computations of `steps` steps along `path`, a name or a mapping in YAML."""
    if not hasattr(entry.load(), "written_plan"):
        raise click.UsageError(
            f"{entry.kind} '{entry.name}' has no plan: --plan is for solvers with a fixed number "
            "of steps"
        )
    along = _path(path)
    component = _create(entry, given)
    component.check(along)
    return str(component.written_plan(steps, along))


def _create(entry: Entry, given: Sequence[str]) -> Any:
    return create_from(entry, dict(map(_option, given)))


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set takes OPTION=VALUE, got '{text}'")
    return name, to_python(parse_value(value))


def _path(text: str) -> Any:
    from fmcore.recipe.create import create

    value = to_python(parse_value(text))
    options = dict(value) if isinstance(value, dict) else {"name": value}
    return create("path", str(options.pop("name", "???")), **options)
