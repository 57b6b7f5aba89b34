"""Options of training, each off by default."""

import pytest
import torch
from safetensors.torch import load_file

import fmcore

pytestmark = pytest.mark.usefixtures("no_pictures")

AVERAGES = ("train.ema=[0.9,0.99]", "train.ema_power=[0.05,0.1]", "train.snapshot_every=4")


def trained(recipe, out, *overrides):
    return fmcore.run(recipe, (*overrides, "evaluate=null"), out=out, device="cpu", quiet=True)


def weights(made, name):
    return torch.cat([p.flatten() for p in made.field(name).model.parameters()])


def test_samples_come_from_the_profile_that_is_named(tiny, tmp_path):
    made = trained(tiny, tmp_path / "a", *AVERAGES, "sample.weights=power:0.07")
    tensors = load_file(tmp_path / "a/checkpoints/step-000000040.safetensors")
    parts = {name.split("/")[0] for name in tensors}
    assert parts == {"model", "optimizer", "ema", "ema:0.99", "power:0.05", "power:0.1"}
    assert torch.equal(weights(made, "ema"), weights(made, "ema:0.9"))
    narrow, between, wide = (weights(made, f"power:{w}") for w in (0.05, 0.07, 0.1))
    last = weights(made, "raw")
    distances = [float((w - last).norm()) for w in (narrow, between, wide)]
    assert 0 < distances[0] < distances[1] < distances[2]
    assert len(list((tmp_path / "a/snapshots").glob("*.safetensors"))) == 10


def test_snapshots_are_the_same_after_a_stop(tiny, tmp_path):
    whole = trained(tiny, tmp_path / "a", *AVERAGES)
    folder = tmp_path / "b"
    part = trained(tiny, folder, *AVERAGES)
    for step in (30, 40):  # as if it had been killed after step 20
        for file in (folder / "checkpoints").glob(f"step-{step:09d}.*"):
            file.unlink()
    part = trained(tiny, folder, *AVERAGES)
    assert torch.equal(weights(whole, "power:0.07"), weights(part, "power:0.07"))


def test_weights_that_training_does_not_keep_are_refused_before_it(tiny, tmp_path):
    with pytest.raises(fmcore.ComponentError, match=r"no weights 'emma'; did you mean 'ema'"):
        trained(tiny, tmp_path / "a", "sample.weights=emma")
    assert not (tmp_path / "a").exists()


def test_previews_show_the_same_noises_and_change_no_weight(tiny, tmp_path):
    plain = trained(tiny, tmp_path / "a")
    shown = trained(tiny, tmp_path / "b", "train.sample_every=20")
    names = sorted(p.name for p in (tmp_path / "b/samples/progress").iterdir())
    assert names == ["step-000000020.png", "step-000000040.png"]
    assert torch.equal(weights(plain, "raw"), weights(shown, "raw"))


DIGITS = (
    "data={name: digits}",
    "model={name: unet, channels: 32, depth: 1, channel_mult: [1, 2]}",
    "train.steps=3",
    "train.batch_size=16",
    "sample=null",
)


def test_channels_last_takes_the_same_steps(tiny, tmp_path):
    plain = trained(tiny, tmp_path / "a", *DIGITS)
    last = trained(tiny, tmp_path / "b", *DIGITS, "train.channels_last=true")
    torch.testing.assert_close(weights(plain, "raw"), weights(last, "raw"), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # the compiler's own import
def test_a_compiled_network_leaves_its_own_names_in_checkpoints(tiny, tmp_path):
    plain = trained(tiny, tmp_path / "a")
    compiled = trained(tiny, tmp_path / "b", "train.compile=true")
    name = "checkpoints/step-000000040.safetensors"
    left, right = load_file(tmp_path / "a" / name), load_file(tmp_path / "b" / name)
    assert left.keys() == right.keys()
    torch.testing.assert_close(weights(plain, "raw"), weights(compiled, "raw"))


def test_runs_of_other_precisions_follow_each_other_in_one_process(tiny, tmp_path):
    for precision in ("bf16", "fp32", "bf16"):
        made = trained(tiny, tmp_path / precision, f"train.precision={precision}", "train.steps=2")
        name = "checkpoints/step-000000002.safetensors"
        tensors = load_file(made.folder.root / name)
        assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 runs there")
def test_fp16_without_a_gpu_is_refused(tiny, tmp_path):
    with pytest.raises(fmcore.ComponentError, match="use fp32, or bf16"):
        trained(tiny, tmp_path / "a", "train.precision=fp16")


FLOW_MAP = ("objective=mean_flow", "train.steps=4", "train.log_every=1", "sample=null")


@pytest.mark.parametrize(
    ("option", "atol"),
    # bfloat16 keeps 8 bits: the first steps of Adam are lr each whichever size a gradient has
    [
        ("train.precision=bf16", 8e-3),
        pytest.param(
            "train.compile=true",
            1e-5,
            marks=[
                pytest.mark.slow,
                pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
            ],
        ),
    ],
)
def test_a_flow_map_is_trained_in_bfloat16_and_compiled(tiny, tmp_path, option, atol):
    plain = trained(tiny, tmp_path / "a", *FLOW_MAP)
    other = trained(tiny, tmp_path / "b", *FLOW_MAP, option)
    losses = [
        torch.tensor([line["loss"] for line in made.folder.curve.lines()])
        for made in (plain, other)
    ]
    torch.testing.assert_close(losses[1], losses[0], rtol=0.05, atol=0)
    torch.testing.assert_close(weights(other, "raw"), weights(plain, "raw"), rtol=0, atol=atol)
