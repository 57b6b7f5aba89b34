"""The site of the pages: its menu holds all of them, it builds without a warning, and loads nothing
from elsewhere."""

from __future__ import annotations

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
    told = "[a](../recipes.md) b (`examples/x.py`) `fmcore/y.py` ![c](d.png)"
    assert rewritten(text, page=page) == told


def test_it_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("material")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reference" / "recipes.html").read_text(encoding="utf-8")
    assert "<table>" in page
    for file in tmp_path.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?([^\s\">]+)", text)
        fetched += re.findall(r"<link[^>]+rel=\"?(?:stylesheet|preconnect)[^>]*", text)
        assert [what for what in fetched if "//" in what] == [], file.name
    assert not list(tmp_path.rglob("*.py"))
