"""examples/library.ipynb: the cells of examples/library.py, without outputs."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

__all__ = ["notebook"]

SOURCE = Path(__file__).parents[2] / "examples" / "library.py"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook() -> str:
    """Return the notebook as JSON (nbformat 4.5)."""
    book = jupytext.read(SOURCE, fmt="py:percent")
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # jupytext draws identifiers at random
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.writes(book) + "\n"
