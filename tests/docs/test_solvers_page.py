"""The page on solvers: it names every solver, and its table has the measured numbers."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

from fmcore.registry import registry

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "solvers.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def import_from_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures for minutes where there is a GPU")
def test_the_gpu_script_measures_nothing_without_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_solvers.py"])
    runpy.run_path(str(ROOT / "benchmarks/gpu_solvers.py"), run_name="__main__")
    assert capsys.readouterr().out == "no CUDA device here: nothing was measured\n"


def test_the_gpu_script_runs_its_smoke_test_on_a_cpu(monkeypatch, capsys, tmp_path):
    out = tmp_path / "smoke.json"
    script = runpy.run_path(str(ROOT / "benchmarks/gpu_solvers.py"), run_name="gpu_solvers")
    monkeypatch.setattr(sys, "argv", ["gpu_solvers.py", "--smoke", "--out", str(out)])
    script["main"]()
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["smoke"] is True
    assert report["machine"]["torch"] == torch.__version__
    rows = {row["way"]: row for row in report["rows"]}
    assert [way for way, row in rows.items() if "failed" in row] == []
    assert rows["ours midpoint, graph"]["ran"] == "eager"
    assert "CUDA graphs need" in rows["ours midpoint, graph"]["refused"]
    assert rows["ours unipc, compiled"]["ran"] == "compiled"
    assert rows["ours midpoint, eager"]["calls"] == rows["torchdiffeq midpoint"]["calls"] == 4


def test_every_solver_is_named():
    own = [e.name for e in registry().entries("solver") if e.plugin == "fmcore_solvers"]
    missing = [n for n in own if not n.startswith("torchdiffeq:") and f"`{n}`" not in PAGE]
    assert missing == []


def test_the_table_has_the_measured_numbers():
    measured = json.loads((ROOT / "benchmarks/results/solvers.json").read_text(encoding="utf-8"))
    small, images = measured["outside_the_model"].values()
    rows = re.findall(r"^\| (\S.*?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \|$", PAGE, re.M)
    assert len(rows) == 14
    for name, *printed in rows:
        row, larger = (group[name.replace("`", "")] for group in (small, images))
        times = (row["us_per_nfe"], larger["us_per_nfe"], row["operations_per_nfe"])
        assert printed == [*(f"{value:.1f}" for value in times), str(row["waits"])]
