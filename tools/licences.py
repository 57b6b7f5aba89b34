"""The licences of what fmcore needs, as the installed packages state them: docs/licences.md.

    python tools/licences.py > docs/licences.md

Direct dependencies are those of pyproject.toml; under them stand those that they bring along on
this machine.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = ("parquet", "pretrained", "sinkhorn", "triton")
"""Those that a user installs; `test` is for developers."""

HEAD = """\
# Licences

fmcore is Apache-2.0 (see LICENSE). It copies no code of others and ships no weights. What it needs
is installed beside it, under licences of its own. This page is written by
`python tools/licences.py` from the metadata of the installed packages; where that is vague, a
package's own licence file decides. Builds of torch for CUDA bring NVIDIA's libraries along, under
NVIDIA's terms.
"""


def declared() -> dict[str, list[str]]:
    """Direct dependencies, by what needs them: fmcore itself, or an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {"": project["dependencies"]}
    wanted |= {extra: project["optional-dependencies"][extra] for extra in EXTRAS}
    return {k: [canonicalize_name(Requirement(r).name) for r in rows] for k, rows in wanted.items()}


def brought_along(names: Iterable[str]) -> list[str]:
    """What the packages `names` need in turn, and those, sorted."""
    found, pending = set(names), list(names)
    while pending:
        for text in _requires(pending.pop()):
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending += [] if name in found else [name]
                found.add(name)
    return sorted(found - set(names))


def licence(name: str) -> str:
    """What the package says, in a few words."""
    try:
        said = distribution(name).metadata
    except PackageNotFoundError:
        return "not installed here"
    if expression := said.get("License-Expression"):
        return expression
    classes = [
        c.rpartition(" :: ")[2] for c in said.get_all("Classifier") or () if "License ::" in c
    ]
    named = [c for c in classes if c != "OSI Approved"]
    text = (said.get("License") or "").replace("UNKNOWN", "").strip().splitlines()
    return ", ".join(named) or (text[0][:60] if text else _title(name))


def _title(name: str) -> str:
    """The first line of the licence file."""
    for file in distribution(name).files or ():
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
            return f"{lines[0]} (its licence file)" if lines else "not stated"
    return "not stated in the package"


def home(name: str) -> str:
    """Where the project lives; empty if it does not say."""
    try:
        said = distribution(name).metadata
    except PackageNotFoundError:
        return ""
    urls = dict(u.split(", ", 1) for u in said.get_all("Project-URL") or () if ", " in u)
    known = {re.sub(r"[^a-z]", "", key.lower()): url for key, url in urls.items()}
    wanted = ("homepage", "home", "source", "sourcecode", "repository", "github")
    return said.get("Home-page") or next((known[key] for key in wanted if key in known), "")


def page() -> str:
    """docs/licences.md."""
    by_extra = declared()
    direct = [name for names in by_extra.values() for name in names]
    rows = [
        f"| {name} | {extra and f'extra `{extra}`'} | {licence(name)} | {home(name)} |"
        for extra, names in by_extra.items()
        for name in sorted(names)
    ]
    along = [f"| {name} | {licence(name)} |" for name in brought_along(direct)]
    parts = [
        HEAD,
        "## What fmcore names",
        "\n".join(["| package | | licence | home |", "|---|---|---|---|", *rows]),
        "## What these bring along",
        "\n".join(["| package | licence |", "|---|---|", *along]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _requires(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:
        return []


if __name__ == "__main__":
    print(page(), end="")
