"""`fmcore plugins ls`: the components, then the plugins that failed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import click

from fmcore.cli.console import print_json, styled, table
from fmcore.cli.options import json_option, kind_option
from fmcore.cli.outcome import debugging
from fmcore.registry import Entry, Failure, Registry, registry
from fmcore.registry.hooks import HOOKS
from fmcore.registry.needs import missing

__all__ = ["as_dict", "ls"]


@click.command(short_help="List components, and plugins that failed (default).")
@kind_option
@json_option
def ls(kind: str | None, as_json: bool) -> None:
    """List the components of all plugins, or those of one KIND, and the plugins that failed.

    On a terminal there is a table for each kind, without plugins and versions.
    NEEDS are the packages that a component requires; those in brackets are not installed.

    \b
      fmcore plugins ls --kind solver
    """
    known = registry()
    kinds = [kind] if kind else list(dict.fromkeys(HOOKS.values()))
    entries = [entry for k in kinds for entry in known.entries(k)]
    if as_json:
        print_json(_as_dict(known, entries))
        return
    if sys.stdout.isatty() and kind is None:
        _print_groups(entries)
    else:
        heads = ("KIND", "NAME", "PLUGIN", "VERSION", "SUMMARY", "NEEDS")
        table(heads, [_row(entry) for entry in entries], spare=("NEEDS", "PLUGIN", "VERSION"))
    for line in _problems(known):
        click.echo(line)


def _print_groups(entries: Sequence[Entry]) -> None:
    """Print a table for each kind, headed by it: sixteen kinds in one column are hard to find."""
    for kind, group in groupby(entries, lambda entry: entry.kind):
        table((kind.upper(), "SUMMARY"), [(entry.name, _summary(entry)) for entry in group])
        click.echo()
    click.echo("plugin, version and needed packages: fmcore plugins ls --kind KIND")


def _summary(entry: Entry) -> str:
    lacking = ", ".join(missing(entry.needs))
    return f"{entry.summary} [needs {lacking}]" if lacking else entry.summary


def as_dict(entry: Entry) -> dict[str, Any]:
    """Return an entry as a dictionary for JSON."""
    return {
        "kind": entry.kind,
        "name": entry.name,
        "plugin": entry.plugin,
        "version": entry.version,
        "target": entry.target_text,
        "summary": entry.summary,
        "needs": list(entry.needs),
        "missing": list(missing(entry.needs)),
    }


def _as_dict(known: Registry, entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "components": [as_dict(entry) for entry in entries],
        "failures": [_failure_as_dict(failure) for failure in known.failures],
        "left_out": [plugin.name for plugin in known.left_out],
    }


def _failure_as_dict(failure: Failure) -> dict[str, str]:
    return {
        "plugin": failure.plugin,
        "version": failure.version,
        "error": failure.error,
        "where": failure.where,
    }


def _row(entry: Entry) -> tuple[str, ...]:
    lacking = missing(entry.needs)
    needs = ", ".join(f"[{need}]" if need in lacking else need for need in entry.needs)
    return (entry.kind, entry.name, entry.plugin, entry.version, entry.summary, needs)


def _problems(known: Registry) -> list[str]:
    """Return the lines after the table: plugins that failed or were left out."""
    lines: list[str] = []
    if known.failures:
        lines += ["", styled("Failed", bold=True)]
    for failure in known.failures:
        lines.append(styled(str(failure), fg="red"))
        if debugging() and failure.traceback:
            lines.append(failure.traceback)
    if known.left_out:
        names = ", ".join(plugin.name for plugin in known.left_out)
        lines += ["", f"Left out by FMCORE_PLUGINS: {names}"]
    return lines
