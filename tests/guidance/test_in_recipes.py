"""Guidance and measurements in recipes: what is refused, and samples from a user's own file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import fmcore
from fmcore import ComponentError, RecipeError, load_recipe, stages
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components

INPAINT = "guidance=[{name: replacement, operator: {name: mask, noise: 0, box: [0, 0, 0.5, 1]}}]"
SMALL = [
    "data={name: digits, dequantize: none}",
    "path=linear",
    "model={name: mlp, width: 16, depth: 1}",
    "train={steps: 2, batch_size: 8}",
    "sample={solver: {name: midpoint, nfe: 8}, count: 6, batch_size: 4}",
    "evaluate={metrics: [nfe]}",
    "expect={}",
]


def recipe(*overrides):
    return load_recipe("digits", [*SMALL, *overrides])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "run"
    return fmcore.run(recipe(), out=folder, device="cpu", quiet=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "sample.guidance=[{name: cfg, scale: -1}]",
            "sample.guidance.0.scale: expected a number >= 0, got -1",
        ),
        (
            "sample.guidance={scale: 2, drop: [label]}",  # the form of earlier versions
            "sample.guidance: expected a list of guidance (names, or mappings with `name`) or "
            "null, got a mapping; a list is written [{name: NAME, scale: 2, drop: ...}], with a "
            "NAME of apg, autoguidance, blend, cfg, cfg_zero, dps, mmps, pgdm, replacement",
        ),
        (
            "sample.guidance=[{name: cfg, scale: 2, interval: [0, 2]}]",
            "sample.guidance.0.interval.1: expected a number >= 0 and <= 1, got 2",
        ),
        (
            "sample.guidance=[{name: cfg, scale: 2, interval: [0.5, 0.2]}]",
            "guidance 'cfg': interval must be two times in [0, 1], in order; got [0.5, 0.2]",
        ),
        (
            "sample.guidance=[{name: mmps, operator: {name: mask, box: [0, 0, 2, 1]}}]",
            "operator 'mask': box is (top, left, height, width)",
        ),
        (
            "sample.guidance=[{name: mmps, operator: {name: linear}}]",
            "operator 'linear' needs either matrix or file",
        ),
    ],
)
def test_wrong_options_are_refused_where_they_are_given(override, message):
    with pytest.raises(RecipeError) as refused:
        recipe(override)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["sample.guidance=[{name: mmps, operator: mask}]"],
            "MMPS reads the condition 'measurement': set sample.condition.measurement, or "
            "sample.condition: test to make it of the data",
        ),
        (
            ["sample.solver={name: pnp_flow, operator: mask}"],
            "PnPFlow reads the condition 'measurement'",
        ),
        (
            ["model.classes=auto", "sample.guidance=[{name: blend, label: ten}]"],
            "sample.guidance.0: no class 'ten'",
        ),
        (
            ["sample.guidance=[{name: blend, label: one}]"],
            "Blend reads the condition 'label'",
        ),
        (
            ["sample.guidance=[{name: mmps, operator: {name: downsample, factor: 3}}]"],
            "height and width must be multiples of 3",
        ),
        (
            [
                "sample.guidance=[{name: mmps, operator: mask}]",
                "sample.condition.measurement=nowhere.png",
            ],
            "measurement: there is no file 'nowhere.png'",
        ),
        (
            ["sample.guidance=[{name: mmps, operator: mask}]", "sample.condition.measuremnt=1"],
            "takes no condition 'measuremnt'",
        ),
        (
            ["path=brownian_bridge", "sample.condition=test", "sample.guidance=[{name: mmps, "
             "operator: mask}]"],
            "sample.guidance.0: guidance 'mmps' changes the data prediction",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_guided_is_refused_before_training(overrides, message):
    with pytest.raises(ComponentError) as refused:
        Components.of(recipe(*overrides)).check()
    assert message in str(refused.value)


def test_a_users_own_picture_is_the_measurement_of_every_sample(run, tmp_path, monkeypatch):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    own = ("condition.measurement=photo.png", INPAINT)
    made = stages.sample(run.folder.root, own, to=tmp_path / "made", device="cpu", quiet=True)
    shards = Shards.on_disk(made.folder.samples)
    points = torch.from_numpy(pixels).float() / 127.5 - 1
    # the lower half is measured; digits have 17 levels
    lower = shards.first(6)["x"][:, 0, 4:].float() / 8 - 1
    assert (lower - points[4:]).abs().max() <= 1 / 16 + 1e-3
    provenance = shards.provenance()
    assert provenance["condition"] == {"measurement": str(tmp_path / "photo.png")}
    assert len(provenance["files"]["measurement"]) == 12
    kept = shards.first(6)["condition/measurement"]
    torch.testing.assert_close(kept[3, 0, 4:], points[4:])


def test_measurements_of_a_split_are_those_of_its_examples(run, tmp_path):
    guidance = INPAINT.replace("noise: 0,", "noise: 0.1,")
    options = ("condition=test", guidance)
    made = stages.sample(run.folder.root, options, to=tmp_path / "made", device="cpu", quiet=True)
    kept = Shards.on_disk(made.folder.samples).first(6)
    truth = run.components.data.with_split("test").batch(range(6))["x1"].float() / 8 - 1
    noise = (kept["condition/measurement"] - truth)[:, :, 4:]
    assert float(noise.std()) == pytest.approx(0.1, rel=0.2)
    again = stages.sample(
        run.folder.root, (*options, "batch_size=2"), to=tmp_path / "b", device="cpu", quiet=True
    )
    other = Shards.on_disk(again.folder.samples).first(6)["condition/measurement"]
    assert torch.equal(other, kept["condition/measurement"])


def test_pnp_flow_restores_measurements_of_a_split(run, tmp_path):
    solver = "solver={name: pnp_flow, nfe: 10, operator: {name: mask, noise: 0}}"
    made = stages.sample(
        run.folder.root, ("condition=test", solver), to=tmp_path / "m", device="cpu", quiet=True
    )
    assert set(Shards.on_disk(made.folder.samples).first(6)["nfe"].tolist()) == {10}


def test_guidance_of_several_nests_from_the_inside(run, tmp_path):
    """Evaluations: the outer one differentiates the inner one, which evaluates the network once."""
    inner = "{name: replacement, operator: {name: mask, box: [0, 0, 0.5, 1]}}"
    outer = (
        "{name: mmps, iterations: 1, operator: {name: downsample, noise: 0.2}, measurement: low}"
    )
    options = (f"guidance=[{inner}, {outer}]", "condition=test", "count=2")
    made = stages.sample(run.folder.root, options, to=tmp_path / "m", device="cpu", quiet=True)
    drawn = Shards.on_disk(made.folder.samples).first(2)
    assert drawn["condition/low"].shape == (2, 1, 4, 4)
    assert set(drawn["nfe"].tolist()) == set(drawn["forwards"].tolist()) == {8}
    facts = json.loads((made.folder.samples / "made.json").read_text())
    assert [g["name"] for g in facts["guidance"]] == ["replacement", "mmps"]
