"""The paper's table from one command."""

import json
from pathlib import Path

import pytest

from fmcore import ComponentError, load_recipe
from fmcore.benchmark.method_runs import MethodRun
from fmcore.benchmark.table1 import table1
from fmcore.benchmark.table1_methods import METHODS, reported
from fmcore.benchmark.table1_tables import Table1


def test_every_method_is_trained_as_the_paper_defines_it(tiny, tmp_path):
    made = table1(load_recipe(tiny), tmp_path / "out", quiet=True, emit=lambda s: None)
    assert not made.failures
    chosen = {c.method: load_recipe(c.folder / "recipe.yaml").values for c in made.runs}
    assert {m: (v["path"]["name"], v["objective"]["name"]) for m, v in chosen.items()} == {
        "ddpm": ("vp", "ddpm"),
        "score_matching": ("vp", "score_matching"),
        "scoreflow": ("vp", "scoreflow"),
        "fm_vp": ("vp", "flow_matching"),
        "fm_ot": ("ot", "flow_matching"),
    }
    assert made.spread("fm_ot", "nfe") == (8.0, None)
    page = (tmp_path / "out" / "table1.md").read_text()
    assert "| FM, OT path | 8 |" in page
    assert "paper" not in page
    assert r"FM, OT path & $8$ \\" in (tmp_path / "out" / "table1.tex").read_text()
    assert len(json.loads((tmp_path / "out" / "table1.json").read_text())["cells"]) == 5


def test_finished_runs_are_reused(tiny, tmp_path):
    recipe, out = load_recipe(tiny), tmp_path / "out"
    first = table1(recipe, out, methods=["fm_ot"], quiet=True, emit=lambda s: None)
    folder = first.runs[0].folder / "checkpoints"
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    table1(recipe, out, methods=["fm_ot"], quiet=True, emit=lambda s: None)
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_parallel_runs_give_the_same_table(tiny, tmp_path):
    recipe, two = load_recipe(tiny), ["fm_vp", "fm_ot"]
    apart = table1(recipe, tmp_path / "a", methods=two, jobs=2, device="cpu", emit=lambda s: None)
    here = table1(
        recipe, tmp_path / "b", methods=two, device="cpu", quiet=True, emit=lambda s: None
    )
    assert apart.markdown() == here.markdown()


def test_a_failed_method_is_a_line_and_the_others_continue(tiny, tmp_path):
    other = tmp_path / "fm_vp" / "seed-0" / "thesis.tex"
    other.parent.mkdir(parents=True)
    other.write_text("x")
    two = ["fm_vp", "fm_ot"]
    made = table1(load_recipe(tiny), tmp_path, methods=two, quiet=True, emit=lambda s: None)
    (line,) = made.failures
    assert line.startswith("fm_vp, seed 0: ")
    assert "not a run" in line
    page = made.markdown()
    assert line in page
    assert "| FM, diffusion path | failed |" in page
    assert "| FM, OT path | 8 |" in page


def test_an_unknown_method_is_refused_with_a_suggestion(tiny, tmp_path):
    with pytest.raises(ComponentError, match="did you mean 'fm_ot'"):
        table1(load_recipe(tiny), tmp_path, methods=["fm_to"])


def test_the_papers_numbers_are_shown_for_its_datasets_only():
    ours = METHODS["fm_ot"]
    assert reported(ours, {"name": "cifar10"}).fid == 6.35
    assert reported(ours, {"name": "npz", "image_size": 64}).nfe == 138
    assert reported(ours, {"name": "digits"}) is None


def test_several_seeds_give_mean_and_standard_deviation():
    runs = [
        MethodRun("fm_ot", seed, Path("x"), {"nll": {"value": value, "error": None}})
        for seed, value in enumerate((1.0, 2.0, 6.0))
    ]
    made = Table1(load_recipe("checkerboard"), runs)
    assert made.spread("fm_ot", "nll") == pytest.approx((3.0, 7.0**0.5))
    assert "3 ± 2.6" in made.markdown()
