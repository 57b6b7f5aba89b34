"""Labels, guidance, another path than trained on, and pairs for a second flow."""

import pytest
import torch

import fmcore
from fmcore import ComponentError, load_recipe, stages

pytestmark = pytest.mark.usefixtures("no_pictures")

CONDITIONAL = [
    "data={name: digits}",
    "model={name: mlp, width: 32, depth: 2, classes: 10}",
    "train.label_dropout=0.2",
    "sample.count=20",
    "sample.batch_size=7",
]


@pytest.fixture
def conditional(tiny, tmp_path):
    recipe = load_recipe(tiny, CONDITIONAL)
    return fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)


def shard(run):
    from fmcore.runs.samples import Shards

    return Shards.on_disk(run.folder.samples).first(20)


def test_classes_cycle_for_any_batch_size(conditional):
    assert shard(conditional)["label"].tolist() == [i % 10 for i in range(20)]


def test_one_class_can_be_asked_for(conditional):
    again = stages.sample(conditional.folder.root, ("label=3",), device="cpu", quiet=True)
    assert set(shard(again)["label"].tolist()) == {3}


def test_guidance_doubles_the_networks_evaluations_and_not_the_nfe(conditional):
    plain = shard(conditional)
    again = stages.sample(
        conditional.folder.root, ("guidance=[{name: cfg, scale: 2.0}]",), device="cpu", quiet=True
    )
    guided = shard(again)
    assert set(plain["forwards"].tolist()) == set(plain["nfe"].tolist()) == {8}
    assert set(guided["nfe"].tolist()) == {8}
    assert set(guided["forwards"].tolist()) == {16}
    assert not torch.equal(plain["x"], guided["x"])


def test_a_scale_of_one_is_no_guidance(conditional):
    plain = shard(conditional)["x"]
    again = stages.sample(
        conditional.folder.root, ("guidance=[{name: cfg, scale: 1.0}]",), device="cpu", quiet=True
    )
    torch.testing.assert_close(shard(again)["x"], plain)


def test_guidance_without_classes_is_refused_with_the_way_out(tiny, tmp_path):
    recipe = load_recipe(tiny, ["sample.guidance=[{name: cfg, scale: 2.0}]"])
    with pytest.raises(ComponentError, match=r"model\.classes and train\.label_dropout"):
        fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)


def test_a_weaker_run_can_guide(tiny, tmp_path):
    weak = fmcore.run(
        load_recipe(tiny, ["train.steps=5", "model.width=8"]), out=tmp_path / "w", quiet=True
    )
    strong = fmcore.run(load_recipe(tiny), out=tmp_path / "s", quiet=True)
    plain = strong.samples(32)
    override = f"guidance=[{{name: autoguidance, scale: 1.5, weak: {weak.folder.root}}}]"
    again = stages.sample(strong.folder.root, (override,), device="cpu", quiet=True)
    assert not torch.equal(again.samples(32), plain)


def test_a_model_can_be_sampled_along_another_path(tiny, tmp_path):
    fine = ["sample.solver={name: rk4, nfe: 200}", "train.steps=100"]
    run = fmcore.run(load_recipe(tiny, fine), out=tmp_path / "run", device="cpu", quiet=True)
    straight = run.samples(32)
    again = stages.sample(run.folder.root, ("path=linear",), device="cpu", quiet=True)
    # paths from the same noise to the same data carry each point to the same end
    torch.testing.assert_close(again.samples(32), straight, rtol=0, atol=2e-2)


def test_pairs_of_a_run_train_a_second_flow(tiny, tmp_path):
    first = fmcore.run(load_recipe(tiny), out=tmp_path / "first", device="cpu", quiet=True)
    stages.pairs(first.folder.root, tmp_path / "pairs.safetensors", ("count=256",), device="cpu")
    reflow = [
        f"data={{name: pairs, file: {tmp_path / 'pairs.safetensors'}}}",
        "path=linear",
        "coupling=reflow",
    ]
    second = fmcore.run(
        load_recipe(tiny, reflow), out=tmp_path / "second", device="cpu", quiet=True
    )
    assert second.samples(32).shape == (32, 2)
