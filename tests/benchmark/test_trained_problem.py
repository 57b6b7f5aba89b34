"""Benchmarks of a trained run."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import fmcore
from fmcore import Rows
from fmcore.benchmark.solvers import benchmark
from fmcore.errors import ComponentError
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.weights import trained_field

RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 16, depth: 2}
train: {steps: 30, batch_size: 64, checkpoint_every: 30}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    (root / "tiny.yaml").write_text(RECIPE)
    recipe = fmcore.load_recipe(root / "tiny.yaml")
    fmcore.run(recipe, out=root / "run", device="cpu", quiet=True)
    return root / "run"


def by_hand(trained, samples: int) -> torch.Tensor:
    """Classical Runge-Kutta with 200 steps on the network itself."""
    folder = RunFolder.open(trained)
    field, _ = trained_field(Components.of(folder.recipe()), folder)
    field.model.double()
    x, h = Rows(0, "sample", 0, range(samples)).normal((2,)).double(), 1 / 200
    with torch.no_grad():
        for step in range(200):
            t = torch.full((samples,), step * h, dtype=torch.float64)
            a = field(x, t)
            b = field(x + h / 2 * a, t + h / 2)
            c = field(x + h / 2 * b, t + h / 2)
            d = field(x + h * c, t + h)
            x = x + h / 6 * (a + 2 * b + 2 * c + d)
    return x


def test_errors_are_distances_from_a_tight_solve_of_the_same_network(trained, tmp_path):
    axes = ["solver=midpoint,dopri5", "nfe=8,16,32", "tol=1e-7", "samples=12", "dtype=float64"]
    made = benchmark(trained, axes, out=tmp_path, repeats=1, quiet=True)
    *midpoint, dopri5 = made.report.rows
    assert dopri5["problem"] == "tiny@30"
    assert dopri5["error_max"] < 1e-5
    falling = [row["error_rms"] for row in midpoint]
    assert falling == sorted(falling, reverse=True)
    (file,) = (tmp_path / "references").iterdir()
    assert torch.allclose(load_file(file)["x"], by_hand(trained, 12), rtol=0, atol=1e-6)
    for row in midpoint:
        assert row["forwards"] == row["calls"] == row["nfe"]
        assert row["dim"] is None
        assert row["path"] == "ot"


def test_the_network_is_solved_along_other_paths_from_the_same_noise(trained, tmp_path):
    axes = ["path=ot,cosine", "solver=dopri5", "tol=1e-3", "samples=3"]
    made = benchmark(trained, axes, out=tmp_path, repeats=1, reference_tol=1e-5, quiet=True)
    assert [row["path"] for row in made.report.rows] == ["ot", "cosine"]
    assert all(row["error_max"] < 1e-2 for row in made.report.rows)


def test_metrics_are_measured_on_every_cell(trained, tmp_path):
    axes = ["solver=euler", "nfe=4,8", "metrics=nfe", "samples=6"]
    made = benchmark(trained, axes, out=tmp_path, repeats=1, quiet=True)
    found = [json.loads(row["metrics"])["nfe"]["value"] for row in made.report.rows]
    assert found == [4, 8]
    assert made.report.heads()[-1] == "nfe"
    assert made.report.table(made.report.rows)[0][-1] == "4"


def test_a_metric_of_held_out_data_is_refused(trained, tmp_path):
    with pytest.raises(ComponentError, match="fmcore evaluate"):
        benchmark(trained, ["metrics=nll"], out=tmp_path, quiet=True)


def test_a_flow_map_is_compared_with_solvers_of_its_velocity(tmp_path):
    text = RECIPE.replace("path: ot", "path: ot\nobjective: mean_flow")
    (tmp_path / "tiny.yaml").write_text(text)
    fmcore.run(tmp_path / "tiny.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    axes = ["solver=flow_map,euler", "nfe=1,2", "samples=4"]
    made = benchmark(
        tmp_path / "run", axes, out=tmp_path / "b", repeats=1, reference_tol=1e-4, quiet=True
    )
    rows = made.report.rows
    assert [(row["solver"], row["nfe"]) for row in rows] == [
        ("flow_map", 1),
        ("flow_map", 2),
        ("euler", 1),
        ("euler", 2),
    ]
    assert [row["forwards"] for row in rows] == [1, 2, 1, 2]
    assert all(row["calls_outside"] == 0 for row in rows)
