"""The paper's Table 2 from one command."""

from __future__ import annotations

import json

import pytest

from fmcore import ComponentError, load_recipe
from fmcore.benchmark.compare_page import write_table2_page
from fmcore.benchmark.method_runs import MethodRun
from fmcore.benchmark.table2 import METHODS, Table2, table2

SMALL = [
    "model.channels=4",
    "train.steps=1",
    "train.batch_size=2",
    "train.lr_schedule.warmup=0",
    "sample.count=2",
    "evaluate.metrics=[psnr]",
    "sample.solver.nfe=2",
]


def test_a_regression_and_a_flow_are_trained_beside_the_numbers_of_the_paper(tmp_path):
    recipe = load_recipe("digits_superres", SMALL)
    made = table2(recipe, tmp_path, device="cpu", quiet=True, emit=lambda s: None)
    assert not made.failures
    chosen = {run.method: load_recipe(run.folder / "recipe.yaml").values for run in made.runs}
    assert {
        m: (v["objective"]["name"], v["sample"]["solver"]["nfe"]) for m, v in chosen.items()
    } == {
        "regression": ("data", 1),
        "flow": ("flow_matching", 2),
    }
    heads, rows = made.table()
    assert heads == [
        "method",
        "ours: PSNR",
        "paper: FID",
        "paper: IS",
        "paper: PSNR",
        "paper: SSIM",
    ]
    assert [row[0] for row in rows] == ["Regression", "SR3", "FM, OT path"]
    assert rows[1][1] == ""
    assert rows[2][2:] == ["3.4", "200.8", "24.7", "0.747"]
    page = (tmp_path / "table2.md").read_text()
    assert "of ImageNet" in page
    assert (tmp_path / "table2.tex").is_file()
    assert len(json.loads((tmp_path / "table2.json").read_text())["cells"]) == 2
    write_table2_page(tmp_path / "table2.html", made)
    html = (tmp_path / "table2.html").read_text()
    assert "Table 2 on digits_superres" in html
    assert "regression, seed 0" in html
    assert "standard error" not in html
    assert html.count("data:image/png") == 2  # the comparison of each run


def test_the_papers_own_data_need_no_note_and_a_failed_run_is_a_line(tmp_path):
    recipe = load_recipe("imagenet256_superres", partial=True)
    made = Table2(recipe, [MethodRun("flow", 0, tmp_path, {}, "out of memory")])
    assert made.is_papers
    assert made.notes == ["flow, seed 0: out of memory"]
    assert METHODS["flow"].paper["fid"] == 3.4


def test_other_recipes_and_methods_are_refused(tmp_path):
    with pytest.raises(ComponentError, match="Table 2 is of super_resolution: try digits_superres"):
        table2(load_recipe("digits"), tmp_path)
    with pytest.raises(ComponentError, match="no method 'sr3'"):
        table2(load_recipe("digits_superres", SMALL), tmp_path, methods=["sr3"])
