"""The results of the training benchmarks, and the numbers on their page."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
NAMES = [
    "training_step",
    "trainer_overhead",
    "loader",
    "minibatch_ot",
    "bridge",
    "super_resolution",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_measurement_names_its_machine(name):
    report = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert {"processor", "cpus", "torch", "threads", "load_average"} <= report["machine"].keys()


def test_the_page_has_the_measured_numbers():
    page = " ".join((ROOT / "docs/training.md").read_text(encoding="utf-8").split())
    step = json.loads((RESULTS / "training_step.json").read_text(encoding="utf-8"))["steps"]
    for row in ("fmcore fp32", "fmcore bf16", "torchcfm bf16"):
        assert f"{step[row]['ratio']:.2f}" in page
    overhead = json.loads((RESULTS / "trainer_overhead.json").read_text(encoding="utf-8"))
    assert f"{overhead['outside_share']:.1%}".replace("%", " %") in page
    assert f"{overhead['checkerboard']['ratio']:.2f} (" in page
    for row in overhead["moving_average"].values():
        assert f"{row['ratio']:.2f}" in page


def test_the_table_of_super_resolution_has_the_measured_numbers():
    page = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    results = json.loads((RESULTS / "super_resolution.json").read_text(encoding="utf-8"))["results"]
    formats = {"psnr": ".2f", "ssim": ".3f", "low_pass_error": ".3f", "fd_lite0": ".0f"}
    for kind, seeds in results.items():
        cells = (", ".join(f"{s[m]:{f}}" for s in seeds.values()) for m, f in formats.items())
        assert f"| {kind} | {' | '.join(cells)} |" in page
