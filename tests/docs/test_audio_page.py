"""The tables of docs/audio.md are those of benchmarks/results/audio_sr.json."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPORT = json.loads((ROOT / "benchmarks/results/audio_sr.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/audio.md").read_text(encoding="utf-8")


def two(value):
    return f"{value:.2f}".removeprefix("0") if value < 1 else f"{value:.2f}"


def extension_rows(report):
    found = []
    for name, row in report["extension"].items():
        if isinstance(row, dict) and "lsd_hf" in row:
            numbers = (f"{two(x['mean'])} ± {x['sd']:.3f}" for x in (row["lsd_hf"], row["detail"]))
            found.append(f"| {name} | {' | '.join(numbers)} |")
    return found


def metrics_rows(report):
    order = ("lsd_hf", "pesq", "stoi", "visqol", "dnsmos")
    return [
        f"| {name} | {' | '.join(two(row[key]) for key in order)} |"
        for name, row in report["metrics"].items()
        if isinstance(row, dict)
    ]


def vocoder_rows(report):
    order = ("word_error", "lsd", "pesq")
    return [
        f"| {name} | {' | '.join(two(row[key]) for key in order)} |"
        for name, row in report["vocoder"].items()
        if isinstance(row, dict)
    ]


@pytest.mark.parametrize("rows", [extension_rows, metrics_rows, vocoder_rows])
def test_the_tables_are_those_of_the_measurements(rows):
    wanted = rows(REPORT)
    assert len(wanted) > 5
    assert [row for row in wanted if row not in PAGE] == []


def test_the_measurement_names_its_machine():
    assert {"processor", "cpus", "torch", "threads", "load_average"} <= REPORT["machine"].keys()


def test_one_step_meets_its_bounds_and_the_wrong_prior_varies_between_seeds():
    found = REPORT["extension"]
    one, four = (found[f"adaptive {n}"]["lsd_hf"]["mean"] for n in (1, 4))
    assert one <= 0.25 * found["input"]["lsd_hf"]["mean"]
    assert abs(one / four - 1) <= 0.15
    assert 0.8 <= found["adaptive 4"]["detail"]["mean"] <= 1.2
    right, wrong = (found[f"{name} 4"]["detail"]["sd"] for name in ("adaptive", "wrong prior"))
    assert wrong > 5 * right
    assert found["prior"]["scale"]["mean"] == pytest.approx(1, abs=0.01)
