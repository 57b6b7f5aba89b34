"""Write what is made from the code: the two reference pages and the notebook.

    python docs/generate            write them
    python docs/generate --check    exit with 1 if one of them is not what the code says

`make docs` runs it; run it again whenever an option, a component or a command changes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["FMCORE_PLUGINS"] = "none"  # the reference is of what fmcore ships

from commands import command_page
from keys import recipe_page
from notebook import notebook

ROOT = Path(__file__).parents[2]
PAGES = {
    "docs/reference/recipes.md": recipe_page,
    "docs/reference/cli.md": command_page,
    "examples/library.ipynb": notebook,
}


def main(check: bool) -> int:
    """Write what is not up to date, or only name it; the exit code."""
    stale = []
    for name, make in PAGES.items():
        file, text = ROOT / name, make()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            file.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is not what the code says" if check else f"written: {name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
