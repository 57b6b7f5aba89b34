"""The pages on mathematics and paths say what is so: files exist, code runs, tables are code."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from fmcore import create
from fmcore.plugins import registry
from fmcore.testing import PathSuite, run_suite

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", ["maths.md", "paths.md", "write-a-path.md"])
def test_every_file_and_link_named_exists(page):
    text = (DOCS / page).read_text()
    named = re.findall(r"`((?:fmcore|plugins|tests|examples)/[\w./-]+)`", text)
    linked = re.findall(r"\]\(([\w./-]+?)(?:#[\w-]+)?\)", text)
    missing = [n for n in named if not (ROOT / n).exists()]
    missing += [link for link in linked if not (DOCS / link).exists()]
    assert missing == []


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_the_paths_that_the_guide_writes_pass_the_suite():
    names: dict[str, object] = {}
    for block in blocks("write-a-path.md"):
        exec(block, names)  # the page's own code
    for cls in (names["SmoothPath"], names["CirclePath"]):
        made = type("Checked", (PathSuite,), {"component": lambda self, cls=cls: cls()})
        assert [r.message for r in run_suite(made) if not r.passed] == []
    assert [r.message for r in run_suite(names["TestCircle"]) if not r.passed] == []


def test_the_table_of_paths_names_every_built_in_one():
    text = (DOCS / "paths.md").read_text()
    built_in = [e.name for e in registry().entries("path") if e.plugin == "fmcore_paths"]
    assert [name for name in built_in if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("name", "alpha", "sigma"),
    [
        ("ot", lambda t: t, lambda t: 1 - (1 - 1e-4) * t),
        ("linear", lambda t: t, lambda t: 1 - t),
        ("ve", torch.ones_like, lambda t: 50 ** (1 - t) * 0.01**t),
        ("cosine", lambda t: (math.pi * t / 2).sin(), lambda t: (math.pi * t / 2).cos()),
        ("polynomial", lambda t: t**2, lambda t: 1 - t**2),
    ],
)
def test_the_table_of_paths_is_the_code(name, alpha, sigma):
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    c = create("path", name).coefficients(t)
    torch.testing.assert_close(c.alpha, alpha(t))
    torch.testing.assert_close(c.sigma, sigma(t))


def test_the_weights_of_the_derivation_are_the_code():
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    weight = create("objective", "scoreflow").weight
    torch.testing.assert_close(weight(create("path", "linear"), t), 2 * (1 - t) / t)
