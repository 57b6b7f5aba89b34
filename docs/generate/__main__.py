"""Write the files that are made from the code: two reference pages and the notebook.

    python docs/generate            write those that are out of date
    python docs/generate --check    write nothing; exit with 1 if one is out of date

`make docs` runs it. Run it again whenever an option, a component or a command changes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["FMCORE_PLUGINS"] = "none"  # the reference covers the built-in plugins only

from commands import command_page
from keys import recipe_page
from notebook import notebook

ROOT = Path(__file__).parents[2]
FILES = {
    "docs/reference/recipes.md": recipe_page,
    "docs/reference/cli.md": command_page,
    "examples/library.ipynb": notebook,
}


def main(check: bool) -> int:
    """Write each file that is out of date, or only name it; return the exit code."""
    stale = []
    for name, make in FILES.items():
        file, text = ROOT / name, make()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            file.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of date" if check else f"written: {name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
