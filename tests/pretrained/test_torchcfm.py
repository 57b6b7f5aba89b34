"""Small random U-Nets of torchcfm, compared with torchcfm itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fmcore import (
    CheckpointError,
    ComponentError,
    DataError,
    Field,
    Problem,
    create,
    load_recipe,
)
from fmcore.testing import ModelSuite

pytest.importorskip("torchcfm")
from torchcfm.models.unet.unet import UNetModelWrapper

SHAPE = (3, 8, 8)
OPTIONS = {"num_channels": 32, "num_res_blocks": 1, "channel_mult": (1, 2), "num_heads": 2}
HERE = {**OPTIONS, "attention_resolutions": (4,), "num_head_channels": 16}
THERE = {**OPTIONS, "attention_resolutions": "4", "num_head_channels": 16}


def network(**options) -> UNetModelWrapper:
    torch.manual_seed(0)
    made = UNetModelWrapper(dim=SHAPE, **{**THERE, **options}).eval()
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return made


@pytest.fixture
def file(tmp_path) -> Path:
    torch.save(network().state_dict(), tmp_path / "unet.pt")
    return tmp_path / "unet.pt"


def model(file: Path, **options):
    return create("model", "torchcfm", file=str(file), **{"shape": SHAPE, **HERE, **options})


class TestUNet(ModelSuite):
    shape = SHAPE

    @pytest.fixture(autouse=True)
    def _file(self, file):
        self.file = file

    def component(self):
        return model(self.file)


class TestUNetWithANullClass(ModelSuite):
    shape = SHAPE
    classes = 3

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        self.file = tmp_path / "unet.pt"
        torch.save(network(class_cond=True, num_classes=4).state_dict(), self.file)

    def component(self):
        return model(self.file, num_classes=4, null_class=True)


def arguments() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, *SHAPE, generator=generator), torch.tensor([0.0, 0.4, 1.0])


def test_the_velocity_is_torchcfm_s_own(file):
    x, t = arguments()
    with torch.no_grad():
        torch.testing.assert_close(model(file).eval()(x, t), network()(t, x))


def test_labels_are_torchcfm_s_own(tmp_path):
    there = network(class_cond=True, num_classes=4)
    torch.save(there.state_dict(), tmp_path / "unet.pt")
    x, t = arguments()
    label = torch.tensor([0, 3, 1])
    here = model(tmp_path / "unet.pt", num_classes=4).eval()
    with torch.no_grad():
        torch.testing.assert_close(here(x, t, {"label": label}), there(t, x, label))
    with pytest.raises(ComponentError, match="has no null class"):
        here(x, t)


def test_float64_gives_the_velocity_of_float32(file):
    x, t = arguments()
    with torch.no_grad():
        single = model(file).eval()(x, t)
        double = model(file).eval().double()(x.double(), t.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


def test_euler_gives_the_samples_of_torchcfm_s_loop(file):
    x, _ = arguments()
    field = Field(
        model(file).eval(), create("path", "linear"), create("objective", "flow_matching")
    )
    there, end = network(), x
    with torch.no_grad():
        for k in range(5):
            end = end + there(torch.full((3,), k / 5), end) / 5
        ours = create("solver", "euler", steps=5).solve(Problem(field, x, path=field.path)).x
    torch.testing.assert_close(ours, end, rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_torchcfm_s_examples_is_read(tmp_path):
    average, last = network(), network()
    for parameter in average.parameters():
        parameter.data += 1
    optimizer = torch.optim.Adam(last.parameters())
    parallel = {f"module.{k}": v for k, v in last.state_dict().items()}
    held = {"net_model": parallel, "ema_model": average.state_dict(), "step": 400}
    file = tmp_path / "otcfm.pt"
    torch.save({**held, "optim": optimizer.state_dict()}, file)
    for part, wanted in ((None, average), ("ema_model", average), ("net_model", last)):
        made = model(file, part=part)
        for name, value in wanted.state_dict().items():
            assert torch.equal(made.network.state_dict()[name], value)
    assert made.pretrained.weights.endswith(", net_model")
    with pytest.raises(DataError, match=r"no state dict 'ema'; it holds net_model, ema_model"):
        model(file, part="ema")


def test_safetensors_are_read(tmp_path):
    state = network().state_dict()
    save_file(state, tmp_path / "unet.safetensors")
    made = model(tmp_path / "unet.safetensors").network.state_dict()
    assert all(torch.equal(made[name], value) for name, value in state.items())


def test_a_state_dict_for_other_options_is_refused(file):
    with pytest.raises(CheckpointError, match=r"unet.pt: the weights are of another network"):
        model(file, num_channels=64)


def test_a_missing_or_corrupt_file_is_named_in_the_error(file):
    with pytest.raises(DataError, match=r"no file .*nowhere.pt: set model.file=PATH"):
        model(file.with_name("nowhere.pt"))
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"unet.pt: corrupt, or not written by torch.save"):
        model(file)


class Trap:
    """Writes a file if a pickle of it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_a_pickle_that_would_execute_code_is_refused(tmp_path):
    torch.save({"ema_model": Trap(tmp_path / "sprung")}, tmp_path / "bad.pt")
    with pytest.raises(DataError, match=r"bad.pt: holds more than tensors, or is corrupt; refused"):
        model(tmp_path / "bad.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel_mult": None}, "cannot build its UNetModelWrapper: unsupported image size: 8"),
        ({"num_channels": 33}, "cannot build its UNetModelWrapper: num_channels .33. must be div"),
        ({"num_head_channels": 24}, "cannot build its UNetModelWrapper: q,k,v channels 64 is not"),
        ({"num_head_channels": 0}, "must be above 0, or -1 to use num_heads"),
        ({"attention_resolutions": ()}, "attention_resolutions needs one or more image heights"),
        ({"attention_resolutions": (0,)}, "attention_resolutions needs one or more image heights"),
        ({"channel_mult": ()}, "channel_mult needs one or more positive integers"),
        ({"channel_mult": (1, -1)}, "channel_mult needs one or more positive integers"),
        ({"shape": (3, 7, 8)}, r"multiples of 2; the data have shape \(3, 7, 8\)"),
        ({"shape": (8,)}, "needs images"),
    ],
)
def test_impossible_options_and_shapes_are_refused_with_the_reason(file, options, message):
    with pytest.raises(ComponentError, match=message):
        model(file, **options)


def test_a_network_without_classes_has_no_null_class(file):
    with pytest.raises(ComponentError, match=r"null_class=true needs model.num_classes above 0"):
        model(file, null_class=True)


def test_the_recipe_of_the_page_states_the_defaults(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "pretrained.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n# torchcfm.yaml\n")[2].partition("```")[0]
    (tmp_path / "torchcfm.yaml").write_text(text)
    stated = load_recipe(tmp_path / "torchcfm.yaml").values["model"]
    short = {"name": "torchcfm", "file": stated["file"], "channel_mult": [1, 2, 2, 2]}
    bare = text.partition("model:")[0] + f"model: {short}\n"
    (tmp_path / "bare.yaml").write_text(bare)
    assert load_recipe(tmp_path / "bare.yaml").values["model"] == stated
