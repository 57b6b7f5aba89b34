"""A griffe extension: docstrings as Python-Markdown reads them."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["ListsBegin"]

LIST_AFTER_TEXT = re.compile(r"^(?!\* |  |\n)(.+)\n(?=\* )", re.MULTILINE)


class ListsBegin(griffe.Extension):
    """Put an empty line before each list: Python-Markdown needs it, GitHub and an editor do not."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = LIST_AFTER_TEXT.sub(r"\1\n\n", obj.docstring.value)
