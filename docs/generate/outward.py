"""A mkdocs hook: links to files outside docs/, which the site does not hold, become paths."""

from __future__ import annotations

import posixpath
import re
from typing import Any

__all__ = ["on_page_markdown"]

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[\w./-]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page's text with such links rewritten; mkdocs calls it for every page."""
    folder = posixpath.dirname("docs/" + page.file.src_uri)

    def as_path(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(folder, link[2]))
        if place.startswith("docs/"):
            return link[0]
        return link[1] if link[1].strip("`") == place else f"{link[1]} (`{place}`)"

    return LINK.sub(as_path, markdown)
