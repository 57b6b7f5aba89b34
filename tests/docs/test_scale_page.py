"""The table of docs/scale.md is that of benchmarks/results/scale.json."""

import json
import math
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = "| work | range | seconds of | CPU s | exponent | MiB | exponent |\n" + "|---" * 7 + "|\n"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return runpy.run_path(str(ROOT / "benchmarks/scale.py"), run_name="scale")


def test_the_table_has_the_measured_numbers(script):
    report = json.loads((ROOT / "benchmarks/results/scale.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    printed = page.partition(HEAD)[2].partition("\n\n")[0].splitlines()
    assert printed == script["table"](report)
    assert len(printed) == len(script["SERIES"])
    keys = {"processor", "cpus", "torch", "threads", "load_average"}
    assert keys <= report["machine"].keys()


def test_the_exponents_are_those_of_a_power(script):
    rows = [{"work": w, "cpu_s": 3 * w**1.5, "mib": 2 * w**0.5} for w in (10.0, 40.0, 300.0)]
    found = script["exponents"](rows)
    assert found == pytest.approx(
        {"time": 1.5, "time_last": 1.5, "memory": 0.5, "memory_last": 0.5}, abs=1e-12
    )
    rows[0]["mib"] = math.inf  # not measured: it is what the others are measured above
    assert script["exponents"](rows)["memory"] == pytest.approx(0.5, abs=1e-12)


def test_the_page_has_the_start_up_that_was_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = runpy.run_path(str(ROOT / "benchmarks/startup.py"), run_name="startup")
    report = json.loads((ROOT / "benchmarks/results/startup.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    for row in script["table"](report):
        assert f"\n{row}\n" in page
