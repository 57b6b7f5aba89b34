"""A run from Python: opened, sampled, measured, and shown in a notebook."""

from __future__ import annotations

import re
import sys

import pytest
import torch

import fmcore
from fmcore import RecipeError, Result, RunError, load_recipe
from fmcore.stages.components import Components

RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 4, batch_size: 16, checkpoint_every: 4, log_every: 4}
sample: {solver: {name: midpoint, nfe: 4}, count: 24, batch_size: 16}
evaluate: {metrics: [nfe]}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    (folder / "tiny.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("illustrate_training", "illustrate_samples", "write_report"):
            patch.setattr(sys.modules["fmcore.stages.run"], name, lambda *arguments: None)
        fmcore.run(folder / "tiny.yaml", out=folder / "run", device="cpu", quiet=True)
        yield folder / "run"


def test_an_opened_run_gives_what_the_run_gave_and_changes_no_file(root):
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    run = fmcore.open_run(root)
    assert run.samples().shape == (24, 2)
    torch.testing.assert_close(run.samples(5), run.samples()[:5], rtol=0, atol=0)
    assert run.results["nfe"]["value"] == 4
    assert run.recipe.digest == load_recipe(root / "recipe.yaml").digest
    solver = fmcore.create("solver", "midpoint", nfe=4)
    field = run.field()
    x0 = fmcore.noise_of(field.path.prior(), range(24), (2,), 3)
    solution = solver.solve(fmcore.Problem(field, x0, path=field.path))
    torch.testing.assert_close(solution.x, run.samples())
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == before


def test_samples_and_results_are_read_without_the_components(root, monkeypatch):
    monkeypatch.setattr(Components, "of", lambda recipe: pytest.fail("components were built"))
    run = fmcore.open_run(str(root))
    assert (len(run.samples()), list(run.results), run.nfe()[0]) == (24, ["nfe"], 4)


def test_a_folder_without_a_run_is_refused_with_the_run_in_it(root):
    with pytest.raises(RunError, match=r"not a run folder.*did you mean .*run\?"):
        fmcore.open_run(root.parent)


def test_a_run_is_sampled_and_measured_with_other_options(root, tmp_path):
    run = fmcore.open_run(root)
    more = fmcore.sample(run, ["count=30"], to=tmp_path / "more", device="cpu", quiet=True)
    torch.testing.assert_close(more.samples()[:24], run.samples())
    assert (len(more.samples()), len(run.samples())) == (30, 24)
    measured = fmcore.evaluate(more, ["metrics=[nfe]"], device="cpu", quiet=True)
    assert measured.results["nfe"]["provenance"]["count"] == 30


def test_one_text_of_overrides_is_refused_with_the_list_to_write(root):
    with pytest.raises(RecipeError, match=re.escape("overrides are a list of texts: ['count=3']")):
        fmcore.sample(root, "count=3")
    with pytest.raises(RecipeError, match=re.escape("overrides are a list of texts: ['seed=3']")):
        load_recipe("checkerboard", "seed=3")


def test_a_recipe_and_a_run_are_one_line(root):
    assert repr(load_recipe("digits")) == "Recipe('digits', 9 sections)"
    assert repr(fmcore.open_run(root)) == f"Run('{root}')"


def test_a_result_is_one_line_without_its_samples():
    result = Result(3.1234567, 0.01234, {"count": 4}, torch.zeros(10_000))
    assert repr(result) == "Result(3.12346 ± 0.012)"
    assert repr(Result(7.0)) == "Result(7)"


def test_a_notebook_shows_the_values_that_were_given(monkeypatch):
    monkeypatch.setenv("SECRET", "hidden")
    recipe = load_recipe("checkerboard", ["data=pairs", "data.file=${oc.env:SECRET}"])
    html = recipe._repr_html_()
    assert "file ${oc.env:SECRET}" in html
    assert "<td>name mlp, width 128, depth 4</td>" in html
    assert "hidden" not in html
    assert "betas" not in html  # a default
    assert len(html) < 2000


def test_a_notebook_shows_a_run_with_its_results(root):
    html = fmcore.open_run(root)._repr_html_()
    assert "<tr><th>steps</th><td>4</td></tr>" in html
    assert "<tr><th>nfe</th><td>4 ± 0</td></tr>" in html


def test_html_is_escaped_and_long_cells_are_cut():
    html = Result(1.0, provenance={"<b>": "<script>", "long": "&" * 1000})._repr_html_()
    assert "<b>" not in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("&amp;") == 197
