"""Templates to text: every value is escaped, and what a template names must be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fmcore.runs.atomic import write_text

__all__ = ["write_page"]


def write_page(file: Path, template: str, **values: Any) -> None:
    """Fill `template` of this package with `values`, and write it to `file`, whole or not at all.

    Only `markupsafe.Markup` goes in unescaped, and only fmcore.report.charts makes any.
    """
    environment = Environment(
        loader=PackageLoader("fmcore.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(**values)
    write_text(file, text.encode("utf-8", "replace").decode("utf-8"))
