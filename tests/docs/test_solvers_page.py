"""The page on solvers: it names every solver, and its table has the measured numbers."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

from fmcore import create
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


def test_the_table_of_likelihoods_has_the_measured_numbers():
    report = json.loads((ROOT / "benchmarks/results/likelihood.json").read_text(encoding="utf-8"))
    script = runpy.run_path(str(ROOT / "benchmarks/likelihood.py"), run_name="likelihood")
    heads = "| | tolerance | not controlled | default |\n|---|---|---|---|\n"
    printed = PAGE.partition(heads)[2].partition("\n\n")[0].splitlines()
    assert printed == script["table"](report["rows"])
    assert len(printed) == 9
    text = " ".join(PAGE.split())
    midpoint, finer, rk4, finest = (script["text_of"](row["error"]) for row in report["fixed"])
    assert f"{midpoint} at 100 NFE and {finer} at 400; `rk4` {rk4} and {finest}" in text


def test_the_overhead_of_the_adaptive_loop_is_the_measured_one():
    name = "benchmarks/results/adaptive_overhead.json"
    shapes = json.loads((ROOT / name).read_text(encoding="utf-8"))["shapes"]
    text = " ".join(PAGE.split())
    for way in ("batch_rms", "per_sample", "adams"):
        small, images = (f"{rows[way]['ratio']:.2f}" for rows in shapes.values())
        assert f"{small} and {images}" in text


def test_the_times_of_whole_samples_are_the_measured_ones():
    report = json.loads((ROOT / "benchmarks/results/work_precision.json").read_text("utf-8"))
    script = runpy.run_path(str(ROOT / "benchmarks/work_precision.py"), run_name="work")
    heads = "| run | solver | at 6e-3 | at 6e-4 | at 6e-5 |\n|---|---|---|---|---|\n"
    printed = PAGE.partition(heads)[2].partition("\n\n")[0].splitlines()
    assert printed == script["whole_table"](report["whole"])
    assert len(printed) == 3 * len(report["whole"]) > 0
    assert all(rows["rounds"] == 7 for rows in report["whole"].values())


def test_the_costs_of_images_and_log_densities_are_the_measured_ones():
    text = " ".join(PAGE.split())
    images = json.loads((ROOT / "benchmarks/results/solvers.json").read_text("utf-8"))["images"]
    alone = images["seconds"]["network"] / images["seconds"]["diffusers"]
    assert f"in {images['ratio']:.2f} of the time of a diffusers" in text
    assert f"of the network alone take {alone:.2f} of it" in text
    costs = json.loads((ROOT / "benchmarks/results/likelihood.json").read_text("utf-8"))["costs"]
    exact, probe = (f"{row['ratio']:.2f} times" for row in costs["rows"])
    assert f"takes {exact} the forward and backward passes" in text
    assert f"and {probe} with one probe on digits" in text


@pytest.mark.parametrize("name", ["likelihood", "adaptive_overhead"])
def test_every_measurement_names_its_machine(name):
    results = ROOT / f"benchmarks/results/{name}.json"
    machine = json.loads(results.read_text(encoding="utf-8"))["machine"]
    assert {"processor", "cpus", "torch", "threads", "load_average"} <= machine.keys()


def test_the_loop_written_by_hand_is_dopri5():
    """On dx/dt = -x, whose end is x e^-1, and as exactly as fmcore's solver at that tolerance."""
    script = runpy.run_path(str(ROOT / "benchmarks/adaptive_overhead.py"), run_name="overhead")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    end, calls = script["loop"](x)
    assert torch.allclose(end, x * torch.tensor(-1.0, dtype=torch.float64).exp(), atol=1e-6)
    assert 30 < calls < 80
    # an order-5 method: the weights of the last stage satisfy the conditions sum b c^k = 1/(k+1)
    nodes = torch.tensor([0.0, *script["NODES"][:-1]], dtype=torch.float64)
    weights = torch.tensor(script["STAGES"][-1], dtype=torch.float64)
    for k in range(5):
        assert float((weights * nodes**k).sum()) == pytest.approx(1 / (k + 1), abs=1e-12)


def test_samples_of_the_likelihood_benchmark_are_of_the_mixture():
    script = runpy.run_path(str(ROOT / "benchmarks/likelihood.py"), run_name="likelihood")
    one = script["gaussian"](create("path", "ot"))
    points = script["samples"](one)
    assert points.shape == (script["POINTS"], 2)
    mean = torch.tensor(one.means[0], dtype=torch.float64)
    assert torch.allclose(points.mean(0), mean, atol=5 * one.stds[0] / len(points) ** 0.5)


def test_the_table_of_work_and_precision_has_the_measured_numbers():
    report = json.loads((ROOT / "benchmarks/results/work_precision.json").read_text("utf-8"))
    script = runpy.run_path(str(ROOT / "benchmarks/work_precision.py"), run_name="work")
    heads = "| network | solver | at 6e-3 | at 6e-4 | at 6e-5 |\n|---|---|---|---|---|\n"
    printed = PAGE.partition(heads)[2].partition("\n\n")[0].splitlines()
    assert printed == script["table"](report)
    assert len(printed) == 4 * 5
    ratios = [r for rows in report["runs"].values() for r in rows["adams"]["ratio"]]
    assert f"it needs {min(ratios):.2f} to {max(ratios):.2f} of the" in " ".join(PAGE.split())
