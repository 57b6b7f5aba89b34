"""Samples drawn with other options go to folders of their own; the run keeps what it has."""

import pytest
import torch

import fmcore
from fmcore import RunError, load_recipe, stages
from fmcore.benchmark.compare import compare
from fmcore.report.page import make_report
from fmcore.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run, to be read only."""
    from tests.stages.conftest import TINY

    place = tmp_path_factory.mktemp("variants")
    (place / "tiny.yaml").write_text(TINY)
    return fmcore.run(place / "tiny.yaml", ("train.steps=5",), out=place / "run", quiet=True)


def content(run):
    """The bytes of everything that the run drew and measured."""
    root = run.folder.root
    files = [*root.glob("samples/*"), root / "results.json", root / "run.json"]
    return {file.name: file.read_bytes() for file in files}


def draw(run, *overrides, **options):
    return stages.sample(run.folder.root, overrides, device="cpu", quiet=True, **options)


def test_exploring_leaves_samples_and_results_as_they_are(finished):
    before = content(finished)
    other = draw(finished, "solver.nfe=4", "count=8")
    assert other.folder.root == finished.folder.root / "variants" / "solver.nfe=4,count=8"
    assert set(other.nfe()) == {4}
    assert content(finished) == before


def test_samples_go_to_a_folder_that_is_named_with_and_without_options(finished, tmp_path):
    before = content(finished)
    same, fewer = draw(finished, to=tmp_path / "a"), draw(finished, "count=9", to=tmp_path / "b")
    assert torch.equal(same.samples(32), finished.samples(32))
    assert fewer.samples(9).shape == (9, 2)
    assert content(finished) == before
    assert (same.folder.samples / "made.json").read_bytes() == before["made.json"]


def test_a_variant_is_measured_reported_and_compared_as_a_run(finished, tmp_path):
    other = draw(finished, "solver={name: euler, steps: 3}", to=tmp_path / "euler")
    found = stages.evaluate(other.folder.root, device="cpu", quiet=True).results
    assert found["nfe"]["value"] == 3
    assert found["nfe"]["origin"]["step"] == 5
    assert "euler" in make_report(other.folder).read_text()
    assert compare([finished.folder, other.folder]).headings() == ["nfe [1]", "nfe [2]"]


def test_more_samples_of_the_same_kind_are_added_to_those_that_there_are(finished, tmp_path):
    more = draw(finished, "count=40", to=tmp_path / "more")
    first = "shard-00000000-00000016.safetensors"
    ours, theirs = (r.folder.samples / first for r in (more, finished))
    assert ours.stat().st_ino == theirs.stat().st_ino  # linked, not drawn again
    assert torch.equal(more.samples(32), finished.samples(32))


def test_a_variant_is_resumed_by_the_same_options_and_refused_for_others(finished, tmp_path):
    draw(finished, "count=5", to=tmp_path / "five")
    draw(finished, "count=5", to=tmp_path / "five")
    with pytest.raises(RunError, match=r"sample\.count: 5 there, 6 asked for"):
        draw(finished, "count=6", to=tmp_path / "five")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="not a run"):
        draw(finished, to=tmp_path / "mine")


def test_a_variant_cannot_be_trained(finished, tmp_path):
    other = draw(finished, "count=5", to=tmp_path / "five")
    with pytest.raises(RunError, match="holds samples of the run"):
        fmcore.run(other.folder.recipe_file, out=other.folder.root, quiet=True)
    assert finished.folder.checkpoints.steps() == [5]


def test_the_name_of_a_variant_is_a_name_of_one_folder(finished):
    guided = draw(finished, "path={name: linear}", "count=4")
    other = draw(finished, "path={name: cosine}", "count=4")
    roots = [guided.folder.root, other.folder.root]
    assert roots[0] != roots[1]
    assert {root.parent for root in roots} == {finished.folder.root / "variants"}


def test_a_run_without_a_section_sample_draws_into_its_own_folder(tiny, tmp_path):
    recipe = load_recipe(tiny, ["train.steps=2", "sample=null", "evaluate=null"])
    made = fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)
    drawn = draw(made, "solver=euler", "solver.steps=2", "count=4")
    assert drawn.folder.root == made.folder.root
    assert drawn.samples(4).shape == (4, 2)


def test_samples_that_a_run_lost_are_drawn_again_in_place(tiny, tmp_path):
    made = fmcore.run(tiny, ("train.steps=2",), out=tmp_path / "run", device="cpu", quiet=True)
    before = made.samples(32)
    next(made.folder.samples.glob("shard-*")).unlink()
    assert torch.equal(draw(made).samples(32), before)
    assert RunFolder.open(made.folder.root).results() == made.results


def test_a_start_that_was_killed_while_it_made_the_folder_does_not_block_it(
    finished, tmp_path, monkeypatch
):
    def killed(self, facts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            draw(finished, "count=3", to=tmp_path / "three")
    assert (tmp_path / "three" / "recipe.yaml").exists()
    assert draw(finished, "count=3", to=tmp_path / "three").samples(3).shape == (3, 2)
