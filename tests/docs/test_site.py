"""The built site: the menu holds every page, every public name has an entry, and a browser loads
nothing from the network."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PUBLIC_MODULES = runpy.run_path(str(ROOT / "tests" / "test_laws.py"))["PUBLIC_MODULES"]
PUBLIC_NAMES = [
    (module, name)
    for module in ("fmcore", *sorted(PUBLIC_MODULES))
    for name in importlib.import_module(module).__all__
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=250, env=quiet)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages_of(menu: Any) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
        return
    for entry in menu.values() if isinstance(menu, dict) else menu:
        yield from pages_of(entry)


def test_the_menu_names_every_page_once():
    there = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert sorted(pages_of(SETTINGS["nav"])) == there


def test_links_that_leave_the_site_become_paths():
    rewritten = runpy.run_path(str(DOCS / "generate" / "outward.py"))["on_page_markdown"]
    page = SimpleNamespace(file=SimpleNamespace(src_uri="reference/recipes.md"))
    text = (
        "[a](../recipes.md) [b](../../examples/x.py) [`fmcore/y.py`](../../fmcore/y.py) ![c](d.png)"
    )
    expected = "[a](../recipes.md) b (`examples/x.py`) `fmcore/y.py` ![c](d.png)"
    assert rewritten(text, page=page) == expected


def test_every_public_name_has_an_entry_with_signature_docstring_and_source(site):
    inventory = pytest.importorskip("mkdocstrings").Inventory
    entries = inventory.parse_sphinx(io.BytesIO((site / "objects.inv").read_bytes()))
    incomplete = {}
    for module, name in PUBLIC_NAMES:
        target = getattr(importlib.import_module(module), name)
        known = [f"{module}.{name}", f"{module}.{name}.{name}"]  # the second: in a file of its name
        found = next((path for path in known if path in entries), None)
        uri = entries[found].uri.replace("$", found) if found else ""
        if missing := missing_parts(entry(site, uri), target) if found else ["entry"]:
            incomplete[known[0]] = missing
    assert incomplete == {}


def entry(site: Path, uri: str) -> str:
    """The HTML of an entry, from its heading to the next one of its level."""
    page, _, anchor = uri.partition("#")
    text = (site / page).read_text(encoding="utf-8")
    return text.partition(f'<h2 id="{anchor}"')[2].partition("<h2 ")[0]


def missing_parts(html: str, target: object) -> list[str]:
    """What a reader would miss in the entry of `target`."""
    parts = {"docstring": r'class="doc doc-contents[^>]*>(\s*<p class="doc.*?</p>)?\s*<p>.*?\w'}
    if inspect.isclass(target) or inspect.isfunction(target):
        parts["source"] = 'class="mkdocstrings-source"'
    if inspect.isfunction(target) or dataclasses.is_dataclass(target):
        parts["signature"] = 'class="doc-signature'
    return [part for part, pattern in parts.items() if not re.search(pattern, html, re.DOTALL)]


def test_a_browser_loads_nothing_from_elsewhere(site):
    page = (site / "reference" / "recipes.html").read_text(encoding="utf-8")
    assert "<table>" in page
    for file in site.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?([^\s\">]+)", text)
        fetched += re.findall(r"<link[^>]+rel=\"?(?:stylesheet|preconnect)[^>]*", text)
        assert [what for what in fetched if "//" in what] == [], file.name
    assert not list(site.rglob("*.py"))
