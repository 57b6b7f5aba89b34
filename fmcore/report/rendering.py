"""Templates to text: every value is escaped, and what a template names must be there."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fmcore.runs.files import write_text

__all__ = ["write_page"]


def write_page(file: Path, template: str, script: str | None = None, **values: Any) -> None:
    """Fill `template` of this package with `values`, and write it to `file`, whole or not at all.

    Only `markupsafe.Markup` goes in unescaped, and only fmcore.report.charts makes any.  `script`
    is a file beside the templates: it alone may run on the page, known to the browser by its hash.
    """
    environment = Environment(
        loader=PackageLoader("fmcore.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    if script is not None:
        source = environment.get_template(script).render()
        values |= {"script": Markup(source), "script_hash": _hash(source)}
    text = environment.get_template(template).render(**values)
    write_text(file, text.encode("utf-8", "replace").decode("utf-8"))


def _hash(script: str) -> Markup:
    """As a content security policy names a script."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return Markup(f"sha256-{base64.b64encode(digest).decode()}")
