"""The figures of Table 1: measured once, resumed, and written as pictures and data."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from fmcore import ComponentError, Rows, load_recipe
from fmcore.benchmark import table1_figures as stage
from fmcore.benchmark.axes import ComponentSpec
from fmcore.benchmark.figure_options import FigureOptions
from fmcore.benchmark.table1 import table1
from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.errors import Interrupted
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.weights import trained_field

RECIPE = """
data: {name: toy, figure: checkerboard, count: 256}
path: ot
model: {name: mlp, width: 16, depth: 2}
train: {steps: 20, batch_size: 32, keep_last: 1}
sample: {solver: {name: midpoint, nfe: 6}, count: 16, batch_size: 16}
evaluate: {metrics: [nll, nfe], count: 4}
"""
SMALL = FigureOptions((8, 4), samples=16, compared=5, held_out=4, tol=1e-5)
KINDS = ("png", "svg", "pdf")
NAMES = ("quality-nfe", "quality-training", "nfe-training")


def silent(line):
    """Print nothing."""


def make(recipe, out, figures=SMALL, **more):
    more = {"methods": ["fm_vp", "fm_ot"], "device": "cpu", "quiet": True, "emit": silent} | more
    return table1(recipe, out, figures=figures, **more)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    file = tmp_path_factory.mktemp("recipe") / "small.yaml"
    file.write_text(RECIPE)
    return load_recipe(file)


@pytest.fixture(scope="module")
def made(recipe, tmp_path_factory):
    """A table with its figures, to be read only."""
    out = tmp_path_factory.mktemp("made")
    return make(recipe, out), out


def by_hand(folder: Path, steps: int, count: int = 5) -> torch.Tensor:
    """Midpoint with even steps on the network of the last checkpoint, in double precision."""
    run = RunFolder.open(folder, silent)
    field, _ = trained_field(Components.of(run.recipe()), run)
    field.model.double()
    x, h = Rows(0, "sample", 0, range(count)).normal((2,)).double(), 1 / steps
    with torch.no_grad():
        for step in range(steps):
            t = torch.full((count,), step * h, dtype=torch.float64)
            x = x + h * field(x + h / 2 * field(x, t), t + h / 2)
    return x


def test_the_error_is_the_distance_from_a_tight_solve_of_the_same_noise(made):
    table, _ = made
    (fm_ot,) = (p for p in table.figures.panel("error-by-nfe").curves["fm_ot"] if p.x == 8)
    (folder,) = (c.folder for c in table.runs if c.method == "fm_ot")
    off = by_hand(folder, 4) - by_hand(folder, 400)
    assert fm_ot.values == pytest.approx((float(off.square().mean().sqrt()),), rel=0.02)


def test_quality_during_training_is_measured_at_kept_checkpoints(made):
    table, _ = made
    panel = table.figures.panel("sliced_wasserstein-by-step")
    assert [place.x for place in panel.curves["fm_vp"]] == [4, 8, 12, 16, 20]
    assert set(panel.curves) == {"fm_vp", "fm_ot"}
    nfe = table.figures.panel("nfe-by-step").curves["fm_ot"]
    assert {place.values for place in nfe} == {(6.0,)}
    last = table.figures.panel("nll-by-step").curves["fm_ot"][-1]
    assert last.values == pytest.approx(table.values("fm_ot", "nll"))  # the same 4 examples


def test_they_are_written_as_pictures_for_a_paper_and_as_data(made):
    table, out = made
    for name in NAMES:
        for kind in KINDS:
            assert (out / f"{name}.{kind}").stat().st_size > 1000
    page = (out / "table1.md").read_text()
    assert all(f"]({name}.png)" in page for name in NAMES)
    assert "midpoint(grid=uniform), 16 samples; the error is that of the first 5" in page
    stored = json.loads((out / "table1.json").read_text())["figures"]
    assert stored["settings"]["budgets"] == [4, 8]
    curve = stored["panels"]["error-by-nfe"]["curves"]["fm_ot"]
    place = table.figures.panel("error-by-nfe").curves["fm_ot"][0]
    assert curve[0] == {"x": 4, "mean": place.mean, "std": place.std, "values": [*place.values]}
    assert (out / "figures.csv").read_text().count("\n") == 1 + 2 * (5 + 2)


def test_measured_points_are_reused(made, recipe, monkeypatch):
    table, out = made
    before = (out / "quality-nfe.svg").read_bytes()
    monkeypatch.setattr(stage._RunMeasurer, "row", None)  # measuring would fail
    again = make(recipe, out)
    assert again.markdown() == table.markdown()
    assert (out / "quality-nfe.svg").read_bytes() == before


def test_stopped_figures_resume(made, recipe, tmp_path, monkeypatch):
    table, out = made
    runs = [stage.FigureRun(c.method, c.seed, c.folder) for c in table.runs]
    whole = (out / "figures.csv").read_text()
    (tmp_path / "figures.csv").write_text("".join(whole.splitlines(keepends=True)[:-3]))
    measure, left = stage._RunMeasurer.row, iter(range(2))

    def until_stopped(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return measure(*arguments)

    def go():
        stage.measure_figures(SMALL, recipe, runs, tmp_path, device="cpu", quiet=True)

    with monkeypatch.context() as patch:
        patch.setattr(stage._RunMeasurer, "row", until_stopped)
        with pytest.raises(Interrupted, match="after 13 of 14 points of the figures; the same"):
            go()
    go()
    assert (tmp_path / "figures.csv").read_text() == whole


def test_an_unfit_metric_is_refused_before_anything_is_trained(recipe, tmp_path):
    for name, words in (("nll", "held-out data"), ("fd_lite0", "images"), ("nfee", "mean 'nfe'")):
        with pytest.raises(Exception, match=words):
            make(recipe, tmp_path / "out", FigureOptions(metric=ComponentSpec("metric", name)))
    assert not (tmp_path / "out").exists()
    with pytest.raises(ComponentError, match="whole numbers from 1 on"):
        FigureOptions(budgets=(0, 4))


def test_samples_that_are_not_finite_leave_a_gap_with_its_reason(made, recipe, tmp_path):
    _, out = made
    broken = tmp_path / "run"
    shutil.copytree(out / "fm_ot" / "seed-0", broken)
    folder = RunFolder.open(broken, silent)
    last = folder.checkpoints.latest()
    wild = {k: v * 1e30 if v.is_floating_point() else v for k, v in last.tensors.items()}
    folder.checkpoints.save(type(last)(last.step, wild, last.facts), keep=None)
    rows = stage.measure_figures(
        FigureOptions((4,), samples=4, compared=0),
        recipe,
        [stage.FigureRun("fm_ot", 0, broken)],
        tmp_path,
        device="cpu",
        quiet=True,
    )
    bad = [row for row in rows if row["step"] == 20]
    assert all("finite" in row["reason"] for row in bad)
    assert not any(row["reason"] for row in rows if row["step"] < 20)


def test_the_command_leaves_out_figures_and_refuses_bad_numbers(
    tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)

    def call(*more):
        words = ["table1", str(tiny), "methods=fm_ot", "-q", *more]
        return exit_code_of(
            lambda: command_line.main(words, prog_name="fmcore", standalone_mode=False)
        )

    assert call("--budgets", "4,x") == 2
    assert "--budgets 4,x: give whole numbers separated by commas" in capsys.readouterr().err
    assert call("--no-figures", "--out", "out") == 0
    assert not list((tmp_path / "out").glob("*.png"))
    assert (tmp_path / "out" / "table1.html").exists()
    stored = json.loads((tmp_path / "out" / "table1.json").read_text())
    assert stored["figures"] is None
    assert stored["cells"][0]["results"]["nfe"]["value"] == 8
