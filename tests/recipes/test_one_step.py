"""The recipes that distil a guided flow of the digits into one evaluation."""

from __future__ import annotations

import importlib

import fmcore

SHORT = ["train.steps=1", "train.batch_size=8", "train.lr_schedule.warmup=0"]


def test_a_guided_flow_of_the_digits_is_distilled_into_one_evaluation(tmp_path, monkeypatch):
    module = importlib.import_module("fmcore.stages.run")
    for name in ("illustrate_samples", "illustrate_training", "write_report"):
        monkeypatch.setattr(module, name, lambda *_: None)
    first = [*SHORT, "sample=null", "evaluate=null"]
    flow = fmcore.run("digits_classes", first, out=tmp_path / "flow", device="cpu", quiet=True)
    given = [f"train.init={flow.folder.root}", f"objective.teacher={flow.folder.root}"]
    made = fmcore.run(
        "digits_one_step",
        [*SHORT, "sample.count=4", "evaluate.metrics=[nfe]", *given],
        out=tmp_path / "made",
        device="cpu",
        quiet=True,
    )
    assert made.recipe.values["objective"]["teacher"]["guidance"] == 2
    assert made.recipe.values["sample"]["guidance"] is None
    assert made.results["nfe"]["value"] == 1
    assert "sha256" in made.results["nfe"]["origin"]["runs"]["objective.teacher"]
