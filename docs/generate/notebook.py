"""examples/library.ipynb: the cells of examples/library.py, without outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["notebook"]

SOURCE = Path(__file__).parents[2] / "examples" / "library.py"


def notebook() -> str:
    """The notebook's JSON (nbformat 4.5); a cell begins at each line `# %%`."""
    parts = re.split(r"^# %%(.*)\n", SOURCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    cells = [_cell(i, head.strip(), text.strip()) for i, (head, text) in enumerate(pairs)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, head: str, text: str) -> dict[str, Any]:
    common = {"id": f"cell-{number}", "metadata": {}}
    if head == "[markdown]":
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        return {"cell_type": "markdown", **common, "source": text.splitlines(keepends=True)}
    more: dict[str, Any] = {"execution_count": None, "outputs": []}
    return {"cell_type": "code", **common, **more, "source": text.splitlines(keepends=True)}
