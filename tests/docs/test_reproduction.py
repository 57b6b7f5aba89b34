"""The tables of docs/reproduction.md are benchmarks/results/claims.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")
CLAIMS = json.loads((ROOT / "benchmarks/results/claims.json").read_text(encoding="utf-8"))
NUMBER = re.compile(r"\d[\d.]*(?:e[-+]?\d+)?")
KEYS = {
    "nats": "nll",
    "bits/dim": "bits_per_dim",
    "NFE of dopri5 at 1e-5": "nfe",
    "FD-lite0, dopri5": "fd_lite0",
}
"""The measured quantity of a column; `distance, 4 NFE` is `distance@4`."""


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the tables in the section `heading`, rules left out."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    return [cells for cells in rows if cells[0] != "---"]


@pytest.mark.parametrize(
    ("heading", "data"),
    [("The checkerboard", "checkerboard"), ("Handwritten digits, 8x8", "digits")],
)
def test_the_tables_are_the_measured_numbers(heading, data):
    measured = CLAIMS[data]
    heads, *rows = rows_under(heading)
    methods, claims = rows[: len(measured["rows"])], rows[len(measured["rows"]) + 1 :]
    keys = [KEYS.get(head, head.replace(", ", "@").removesuffix(" NFE")) for head in heads[1:]]
    for cells, row in zip(methods, measured["rows"].values(), strict=True):
        expected = [f"{row[key]['mean']:.3g} ± {row[key]['std']:.1g}" for key in keys]
        assert cells[1:] == expected, cells[0]
    for (claim, held, numbers), expected in zip(claims, measured["claims"], strict=True):
        assert claim == expected["claim"]
        assert (held == "held") == expected["held"]
        printed = [float(number) for number in NUMBER.findall(numbers)]
        assert printed == [float(f"{value:.3g}") for value in expected["values"].values()]
