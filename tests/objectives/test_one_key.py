"""Every objective, coupling and distribution of times runs from one recipe by changing a key."""

from __future__ import annotations

import json

import pytest

import fmcore

RECIPE = """\
data: {name: toy, count: 256}
path: vp
model: {name: mlp, width: 16, depth: 1}
train: {steps: 3, batch_size: 32}
sample: {solver: {name: midpoint, nfe: 8}, count: 8}
"""


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "one.yaml"
    file.write_text(RECIPE)
    return file


@pytest.mark.parametrize(
    "objective", ["flow_matching", "ddpm", "score_matching", "scoreflow", "data"]
)
def test_every_objective_runs_from_the_same_recipe(recipe, tmp_path, objective):
    run = fmcore.run(recipe, (f"objective={objective}",), out=tmp_path / "run", quiet=True)
    samples = run.samples(8)
    assert samples.shape == (8, 2)
    assert samples.isfinite().all()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line)["loss"] > 0 for line in lines)


@pytest.mark.parametrize(
    "overrides",
    [
        ("coupling={name: minibatch_ot, pool: 2}",),
        ("objective.time=stratified",),
        ("path={name: cosine}", "objective.time=logit_normal"),
    ],
)
def test_couplings_and_times_run_from_the_same_recipe(recipe, tmp_path, overrides):
    run = fmcore.run(recipe, overrides, out=tmp_path / "run", quiet=True)
    assert run.samples(8).isfinite().all()


def test_a_second_flow_trains_on_the_pairs_of_the_first(recipe, tmp_path):
    first = fmcore.run(recipe, ("path=linear",), out=tmp_path / "first", quiet=True)
    file = tmp_path / "pairs.safetensors"
    path, solver = fmcore.create("path", "linear"), fmcore.create("solver", "midpoint", nfe=8)
    fmcore.write_pairs(file, first.field(), path, solver, shape=(2,), count=64)
    overrides = ("path=linear", "coupling=reflow", f"data={{name: pairs, file: {file}}}")
    second = fmcore.run(recipe, overrides, out=tmp_path / "second", quiet=True)
    assert second.samples(8).isfinite().all()


def test_a_score_under_a_coupling_is_refused_before_training(recipe, tmp_path):
    overrides = ("objective=score_matching", "coupling=minibatch_ot")
    with pytest.raises(fmcore.ComponentError, match="needs the score"):
        fmcore.run(recipe, overrides, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
