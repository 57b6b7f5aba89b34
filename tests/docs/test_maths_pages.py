"""The pages on mathematics and paths agree with the code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from fmcore import create
from fmcore.registry import registry

DOCS = Path(__file__).parents[2] / "docs"


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
def test_the_table_of_paths_agrees_with_the_code(name, alpha, sigma):
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    c = create("path", name).coefficients(t)
    torch.testing.assert_close(c.alpha, alpha(t))
    torch.testing.assert_close(c.sigma, sigma(t))


def test_the_weight_in_the_derivation_agrees_with_the_code():
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    weight = create("objective", "scoreflow").weight
    torch.testing.assert_close(weight(create("path", "linear"), t), 2 * (1 - t) / t)
