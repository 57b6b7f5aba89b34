"""`fmcore doctor`: check the installation and the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

import click

from fmcore.cli.console import folded, mark, print_json, styled
from fmcore.cli.doctor.finding import Finding, run_check
from fmcore.cli.options import json_option

__all__ = ["doctor"]


@click.command(short_help="Check the installation: versions, devices, plugins, data.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check the installation: plugins, versions, devices, weights of metrics, data, optional
    packages, the cache (FMCORE_CACHE), shell completion.

    Exits with 1 if something is broken.  Something absent but optional is a note.

    \b
      fmcore doctor --json
    """
    findings = list(_check())
    broken = any(finding.state == "broken" for finding in findings)
    if as_json:
        print_json({"broken": broken, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    ctx.exit(1 if broken else 0)


def _check() -> Iterator[Finding]:
    """Run every check.  Plugins come first: which of them imports torch can only be seen before
    another check has imported it.
    """
    from fmcore.cli.doctor.environment import environment
    from fmcore.cli.doctor.files import data, weights
    from fmcore.cli.doctor.machine import machine
    from fmcore.cli.doctor.plugins import plugins
    from fmcore.cli.doctor.software import software

    yield from run_check("plugins", plugins)
    yield from run_check("software", software)
    yield from run_check("machine", machine)
    yield from run_check("weights", weights)
    yield from run_check("data", data)
    yield from run_check("environment", environment)


def _print(findings: list[Finding]) -> None:
    for topic, group in groupby(findings, key=lambda finding: finding.topic):
        click.echo(styled(topic, bold=True))
        for finding in group:
            line = f"  {mark(finding.state)} {finding.name}: {finding.text}"
            click.echo(folded(line, indent=6))
