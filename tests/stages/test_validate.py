"""Validation changes nothing in training, survives stops, and keeps the best checkpoint."""

import json
import os
import signal
from collections import Counter

import pytest
import torch

import fmcore
from fmcore import load_recipe
from fmcore.recipe.sections import Best
from fmcore.report.page import make_report
from fmcore.runs.distributed import Distributed
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve
from fmcore.stages import validate
from fmcore.stages.components import MAX_VALIDATION_SAMPLES, Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.evaluate import evaluate
from fmcore.stages.opened_run import Run
from fmcore.stages.train import train
from fmcore.stages.validate import BestSoFar, Validator
from fmcore.stages.weights import trained_field

EVERY = (
    "train.evaluate_every=16",
    "train.evaluate={metrics: [wasserstein2, nfe, {name: nll}], count: 40}",
)
BEST = (*EVERY, "train.best.metric=wasserstein2")
STEPS = [16, 32, 40]


def trained(recipe, out, *overrides):
    """Train only: no samples, no pictures."""
    components = Components.of(load_recipe(recipe, [*overrides, "evaluate=null"]))
    components.check()
    folder = RunFolder.begin(components.recipe, out, lambda line: None)
    train(components, folder, accelerator_for(components, "cpu"), Distributed(), quiet=True)
    return Run(folder, components)


def tensors(made):
    return made.folder.checkpoints.latest().tensors


def same(a, b):
    left, right = tensors(a), tensors(b)
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def untimed(made):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in made.folder.curve.lines()]


def measured(made):
    return [line for line in untimed(made) if "evaluate/nll" in line]


def results(made):
    return sorted((made.folder.root / "evaluations").glob("step-*.json"))


def forget_after(made, step):
    """As if the run had been killed before it wrote a later checkpoint."""
    for later in made.folder.checkpoints.steps():
        if later > step:
            for file in (made.folder.root / "checkpoints").glob(f"step-{later:09d}.*"):
                file.unlink()


def test_measuring_changes_no_weight_and_leaves_its_lines(tiny, tmp_path):
    plain = trained(tiny, tmp_path / "a")
    watched = trained(tiny, tmp_path / "b", *BEST)
    assert same(plain, watched)
    lines = measured(watched)
    assert [line["step"] for line in lines] == STEPS
    assert {k for k in lines[0] if k.startswith("evaluate/")} == {
        "evaluate/wasserstein2",
        "evaluate/nfe",
        "evaluate/nll",
    }
    assert lines[0]["evaluate/nll"] != lines[1]["evaluate/nll"]
    assert [line for line in untimed(watched) if "loss" in line] == untimed(plain)
    written = json.loads((tmp_path / "b/evaluations/step-000000016.json").read_text())
    made = written["wasserstein2"]["provenance"]
    assert (made["weights"], made["count"]) == ("ema", 40)
    assert written["wasserstein2"]["origin"]["step"] == 16
    assert made["sampler"]["solver"]["name"] == "midpoint"
    assert "wasserstein2 during training" in make_report(watched.folder).read_text()


def test_the_last_measurement_is_that_of_the_finished_run(tiny, tmp_path):
    made = trained(tiny, tmp_path / "a", *EVERY)
    settings = load_recipe(tiny, ["evaluate={metrics: [{name: nll}], count: 40}"])
    finished = evaluate(
        Components.of(settings), made.folder, torch.device("cpu"), Distributed(), quiet=True
    )
    assert measured(made)[-1]["evaluate/nll"] == pytest.approx(finished["nll"].value, rel=1e-6)


@pytest.mark.parametrize("step", [10, 30])
def test_a_killed_run_measures_the_same_and_ends_with_the_same_best(tiny, tmp_path, step):
    straight = trained(tiny, tmp_path / "a", *BEST, "train.keep_last=9")
    broken = trained(tiny, tmp_path / "b", *BEST, "train.keep_last=9")
    forget_after(broken, step)
    broken = trained(tiny, tmp_path / "b", *BEST, "train.keep_last=9")
    assert same(straight, broken)
    assert measured(straight) == measured(broken)
    marks = [(tmp_path / f"{n}/checkpoints/best.json").read_text() for n in "ab"]
    assert marks[0] == marks[1]


def test_a_stop_while_measuring_saves_at_once_and_measures_afterwards(tiny, tmp_path, monkeypatch):
    straight = trained(tiny, tmp_path / "a", *BEST)
    measure = Validator.measure

    def stopped(self, field, step):
        if step == 16:
            os.kill(os.getpid(), signal.SIGTERM)
        return measure(self, field, step)

    monkeypatch.setattr(Validator, "measure", stopped)
    with pytest.raises(fmcore.FmcoreError, match="stopped by SIGTERM at step 16 of 40"):
        trained(tiny, tmp_path / "b", *BEST)
    assert not (tmp_path / "b/evaluations").exists()
    monkeypatch.setattr(Validator, "measure", measure)
    broken = trained(tiny, tmp_path / "b", *BEST)
    assert same(straight, broken)
    assert measured(straight) == measured(broken)


def test_the_best_checkpoint_outlives_the_newest_and_can_be_sampled(tiny, tmp_path):
    best = ("train.best={metric: nll, mode: max}", "train.keep_last=1", "sample.weights=best")
    made = trained(tiny, tmp_path / "a", *EVERY, *best)  # nll falls: the first is the greatest
    assert made.folder.checkpoints.steps() == [16, 40]
    assert made.folder.checkpoints.best == 16
    short = trained(tiny, tmp_path / "b", "train.steps=16")
    kept, last = short.field("ema").model.state_dict(), made.field("ema").model.state_dict()
    for name, tensor in made.field("best").model.state_dict().items():
        assert torch.equal(tensor, kept[name])
        assert not torch.equal(tensor, last[name])
    assert trained_field(made.components, made.folder, "best")[1].step == 16


def test_a_missing_best_checkpoint_is_reported(tiny, tmp_path):
    made = trained(tiny, tmp_path / "a", *BEST)
    made.folder.checkpoints.mark_best(None)
    with pytest.raises(fmcore.CheckpointError, match="no checkpoint is marked as best yet"):
        made.field("best")


def test_the_first_of_equals_is_the_best_and_what_is_not_finite_never():
    lines = [
        {"step": 1, "evaluate/fid": "nan"},
        {"step": 2, "evaluate/fid": 3.0},
        {"step": 3, "loss": 1.0},
        {"step": 4, "evaluate/fid": 3.0},
        {"step": 5, "evaluate/fid": "inf"},
    ]
    for mode in ("min", "max"):
        best = BestSoFar(Best(metric="fid", mode=mode))
        assert [best.add(line) for line in lines] == [False, True, False, False, False]
        assert (best.step, best.value) == (2, 3.0)
    assert BestSoFar(Best(metric="fid"), lines[:1]).step is None


@pytest.mark.parametrize(("mode", "steps"), [("min", [1, 3]), ("max", [1, 2])])
def test_a_better_value_replaces_the_best(mode, steps):
    best = BestSoFar(Best(metric="fid", mode=mode))
    values = {1: 2.0, 2: 4.0, 3: 1.0, 4: 1.5}
    found = [s for s, v in values.items() if best.add({"step": s, "evaluate/fid": v})]
    assert found == steps
    assert best.step == steps[-1]


def test_many_evaluations_read_the_curve_and_the_code_no_oftener_than_few(
    tiny, tmp_path, monkeypatch
):
    reads = []
    lines, origin_of = Curve.lines, validate.origin_of
    monkeypatch.setattr(Curve, "lines", lambda self: reads.append("curve") or lines(self))
    monkeypatch.setattr(validate, "origin_of", lambda *a: reads.append("code") or origin_of(*a))
    counts = {}
    for every in (20, 4):
        reads.clear()
        made = trained(tiny, tmp_path / str(every), *BEST, f"train.evaluate_every={every}")
        steps = [json.loads(file.read_text())["nfe"]["origin"]["step"] for file in results(made)]
        assert steps == list(range(every, 41, every))
        counts[every] = Counter(reads)
    assert counts[4] == counts[20]
    assert counts[4]["code"] == 1


def test_an_unknown_measurement_is_refused_with_the_nearest_name(tiny, tmp_path):
    with pytest.raises(fmcore.ComponentError, match=r"called 'nl'; did you mean 'nll'"):
        trained(tiny, tmp_path / "a", *EVERY, "train.best.metric=nl")


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("train.best.metric=nfe",), "train.best needs train.evaluate_every"),
        (("train.evaluate_every=5", "evaluate=null"), "there are no metrics to measure"),
        (("train.evaluate_every=5", "sample=null"), "metric 'nfe' measures samples"),
        (("sample.weights=best",), "best needs train.best"),
        (("train.evaluate_every=5", "train.evaluate.metrics=[fid]"), "fid"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(tiny, tmp_path, overrides, reason):
    with pytest.raises(fmcore.FmcoreError, match=reason):
        fmcore.run(tiny, overrides, out=tmp_path / "a", device="cpu", quiet=True)
    assert not (tmp_path / "a").exists()


def test_the_recipes_own_evaluation_is_measured_on_few(tiny):
    recipe = load_recipe(tiny, ["train.evaluate_every=5"])
    assert Components.of(recipe).validation.count == MAX_VALIDATION_SAMPLES
    few = recipe.override(["evaluate.count=7"])
    assert Components.of(few).validation.count == 7
    many = recipe.override(["evaluate.count=70000"])
    assert Components.of(many).validation.count == MAX_VALIDATION_SAMPLES
