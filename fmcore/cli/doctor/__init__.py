"""`fmcore doctor`: what is installed, what is found, what is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

import click

from fmcore.cli.console import folded, mark, print_json, styled
from fmcore.cli.doctor.finding import Finding, examined
from fmcore.cli.options import json_option

__all__ = ["doctor"]


@click.command(short_help="Say what is installed, found and broken.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, found and broken: versions, devices, plugins, weights, data,
    optional packages, the cache, the shell's completion.

    Exits with 1 if something is broken.  What is merely absent is a note.

    \b
      fmcore doctor --json
    """
    findings = list(_examine())
    broken = any(finding.state == "broken" for finding in findings)
    if as_json:
        print_json({"broken": broken, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    ctx.exit(1 if broken else 0)


def _examine() -> Iterator[Finding]:
    """Plugins come first: the others import torch, and would hide who did."""
    from fmcore.cli.doctor.around import around
    from fmcore.cli.doctor.files import data, weights
    from fmcore.cli.doctor.machine import machine
    from fmcore.cli.doctor.plugins import plugins
    from fmcore.cli.doctor.software import software

    yield from examined("plugins", plugins)
    yield from examined("software", software)
    yield from examined("machine", machine)
    yield from examined("weights", weights)
    yield from examined("data", data)
    yield from examined("optional", around)


def _print(findings: list[Finding]) -> None:
    for topic, group in groupby(findings, key=lambda finding: finding.topic):
        click.echo(styled(topic, bold=True))
        for finding in group:
            line = f"  {mark(finding.state)} {finding.name}: {finding.text}"
            click.echo(folded(line, indent=6))
