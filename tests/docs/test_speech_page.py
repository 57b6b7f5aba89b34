"""The tables of docs/speech.md are those of benchmarks/results/speech.json."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPORT = json.loads((ROOT / "benchmarks/results/speech.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/speech.md").read_text(encoding="utf-8")


def text(value, digits):
    return f"{value:.{digits}f}".removeprefix("0") if value < 1 else f"{value:.{digits}f}"


def cell(values, digits):
    """Return the numbers of the runs, one for each seed."""
    return ", ".join(text(value, digits) for value in values)


def speech_rows(report):
    columns = (("word_error", 2), ("mel_l1", 3), ("to 50 steps", 3), ("true durations", 3),
               ("detail", 2))  # fmt: skip
    return [
        f"| {name} | {' | '.join(cell(row.get(key, ()), n) for key, n in columns)} |".replace(
            "|  |", "| |"
        ).replace("|  |", "| |")
        for name, row in report["speech"]["rows"].items()
    ]


def bound_rows(report):
    return [
        f"| {name} | {cell(bound['left'], 3)} | {cell(bound['right'], 3)} | "
        f"{', '.join('yes' if met else 'no' for met in bound['met'])} |"
        for name, bound in report["speech"]["bounds"].items()
    ]


def one_step_rows(report):
    columns = (("word_error", 2), ("mel_l1", 3), ("detail", 2))
    return [
        f"| {name} | {' | '.join(text(row[key], n) for key, n in columns)} |"
        for name, row in report["one_step"]["rows"].items()
    ]


def speed_rows(report):
    return [
        f"| {name} | {row['evaluations']:g} | {text(row['field'], 4)} | "
        f"{text(row['with encoder and decoder'], 3)} |"
        for name, row in report["speed"]["rows"].items()
    ]


def alignment_rows(report):
    return [
        f"| {name} | {text(row['median_frames'], 2)} | {row['within_2_frames']:.0%} |"
        for name, row in report["alignment"]["rows"].items()
    ]


def voice_rows(report):
    found = report["voice"]
    return [f"| {name} | {text(value, 2)} |" for name, value in found["word_error"].items()] + [
        f"on the {found['prompts']} held-out prompts, of {found['words']} words"
    ]


def whisper_rows(report):
    return [f"| {name} | {cell(row, 2)} |" for name, row in report["whisper"]["word_error"].items()]


@pytest.mark.parametrize(
    "rows",
    [
        speech_rows,
        bound_rows,
        whisper_rows,
        one_step_rows,
        speed_rows,
        alignment_rows,
        voice_rows,
    ],
)
def test_the_tables_are_those_of_the_measurements(rows):
    wanted = rows(REPORT)
    assert len(wanted) > 1
    assert [row for row in wanted if row not in PAGE] == []


@pytest.mark.parametrize(
    "part", ["speech", "whisper", "one_step", "speed", "padding", "alignment", "voice"]
)
def test_every_measurement_names_its_machine(part):
    machine = REPORT[part]["machine"]
    assert {"processor", "cpus", "torch", "threads", "load_average"} <= machine.keys()


def test_the_bounds_of_the_acceptance_are_met():
    assert all(all(bound["met"]) for bound in REPORT["speech"]["bounds"].values())
    found = REPORT["alignment"]["rows"]["alignment search"]
    assert found["median_frames"] <= 1
    assert found["within_2_frames"] >= 0.85
    assert REPORT["padding"]["difference"] <= REPORT["padding"]["bound"] == 1e-4
