"""The figures of docs/spaces.md are those of benchmarks/results/spaces.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean, stdev

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "spaces.md").read_text(encoding="utf-8")
REPORT = json.loads((ROOT / "benchmarks" / "results" / "spaces.json").read_text(encoding="utf-8"))


def line(start: str) -> str:
    """The line of the table that starts with the cell `start`."""
    (found,) = [x for x in PAGE.splitlines() if x.startswith(f"| {start} |")]
    return found


@pytest.mark.parametrize(
    ("recipe", "metric"),
    [
        ("torsions", "nll"),
        ("torsions", "torsion_jsd"),
        ("airports", "nll"),
        ("rotations", "nll"),
        ("digits_tokens", "token_bound"),
        ("words", "token_bound"),
        ("words", "ngram_validity"),
    ],
)
def test_the_page_has_mean_and_spread_of_three_seeds(recipe: str, metric: str) -> None:
    rows = [REPORT["rows"][f"{recipe}_{seed}"] for seed in range(3)]
    assert [row["seed"] for row in rows] == [0, 1, 2]
    values = [row["results"][metric]["value"] for row in rows]
    assert f"{metric} {mean(values):.3f} ± {stdev(values):.3f}" in line(f"`{recipe}`")


@pytest.mark.parametrize(
    ("start", "row"),
    [(f"`{name}`", name) for name in ("peptides", "peptides_long")]
    + [("`peptides`, `model.links=true`", "peptides_links")]
    + [("`peptides_long`, `train.steps=3000`", "peptides_long_3000")],
)
def test_the_page_has_the_structure_of_peptides(start: str, row: str) -> None:
    if row not in REPORT["rows"]:
        pytest.skip(f"{row} was not run")
    found = line(start)
    for name, result in REPORT["rows"][row]["results"].items():
        short = name.removeprefix("structure_")
        if short in ("bond_valid", "fragment_valid", "torsion_jsd", "frame_jsd", "novelty"):
            assert f"{short} {result['value']:.3f}" in found
    degrees = REPORT["rows"][row]["results"]["structure_agreement"]["value"]
    assert f"agreement {degrees:.1f}" in found


def test_the_page_has_the_figures_of_the_3_gram() -> None:
    found = REPORT["three_gram"]
    text = re.sub(r"\s+", " ", PAGE)
    assert f"A smoothed 3-gram has {found['bits']:.3f} bits a letter" in text
    assert f"{found['in_training_list']:.3f} of its words are in the training list" in text


def test_the_page_has_the_words_of_other_temperatures() -> None:
    text = re.sub(r"\s+", " ", PAGE)
    for temperature in ("0.8", "0.6"):
        row = REPORT["rows"][f"words_1_temperature_{temperature}"]
        own = row["results"]["ngram_validity"]["value"]
        other = REPORT["three_gram"]["in_training_list_at_temperature"][temperature]
        assert re.search(rf"{temperature}`? gives {own:.3f} \(3-gram {other:.3f}\)", text)


def test_the_page_has_the_long_run_of_airports() -> None:
    row = REPORT["rows"]["airports_long"]
    result = row["results"]["nll"]
    found = line("`airports_long`")
    assert f"nll {result['value']:.3f}; " in found
    assert f"its standard error over airports is {result['error']:.3f}" in found
    assert f"`airports_long` has {row['steps']:,} steps of {row['batch_size']}" in PAGE
