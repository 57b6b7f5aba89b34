"""Render templates: every value is escaped, and an undefined name is an error."""

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
    """Render `template` of this package with `values`, and write it to `file` atomically.

    Only `markupsafe.Markup` is not escaped, and only fmcore.report.charts creates it.  `script` is
    a file next to the templates; the page's content security policy allows it alone, by its hash.
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
    # JSON may contain lone surrogates, which UTF-8 cannot encode
    write_text(file, text.encode("utf-8", "replace").decode("utf-8"))


def _hash(script: str) -> Markup:
    """Return a script's hash in the form of a content security policy."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return Markup(f"sha256-{base64.b64encode(digest).decode()}")
