"""Small random networks of diffusers, compared with diffusers itself."""

from __future__ import annotations

import inspect
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import fmcore
from fmcore import (
    CheckpointError,
    ComponentError,
    DataError,
    Field,
    FmcoreWarning,
    Problem,
    RecipeError,
    create,
)
from fmcore.benchmark.trained_problem import TrainedProblem
from fmcore.stages import dry_run
from fmcore.testing import ModelSuite
from fmcore_pretrained.diffusers_library import _without_broken_torchvision
from fmcore_pretrained.scheduler import (
    DISCRETE,
    FLOW,
    METHOD,
    NOT_APPLIED,
    READ,
    STEP_PLACEMENT,
)

with _without_broken_torchvision():
    diffusers = pytest.importorskip("diffusers")
    from diffusers import (
        DDIMScheduler,
        DDPMScheduler,
        DiTTransformer2DModel,
        DPMSolverMultistepScheduler,
        EulerDiscreteScheduler,
        FlowMatchEulerDiscreteScheduler,
        UNet2DModel,
        UniPCMultistepScheduler,
    )

SHAPE = (3, 8, 8)
WEIGHTS = "diffusion_pytorch_model.safetensors"
UNET = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
DIT = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_layers": 2,
    "sample_size": 8,
    "num_embeds_ada_norm": 5,
}


DDPM = DDPMScheduler(clip_sample=False)


def saved(root: Path, network, scheduler, part: str = "unet") -> str:
    """Save `network`, with random weights added, and `scheduler` as the folder of a pipeline."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    network.save_pretrained(root / part)
    scheduler.save_pretrained(root / "scheduler")
    return str(root)


@pytest.fixture(scope="module")
def unet(tmp_path_factory) -> str:
    torch.manual_seed(0)
    return saved(tmp_path_factory.mktemp("unet"), UNet2DModel(**UNET), DDPM)


@pytest.fixture
def copy(unet, tmp_path) -> Path:
    shutil.copytree(unet, tmp_path / "copy")
    return tmp_path / "copy"


def made(folder: str, objective: str = "ddpm", shape=SHAPE, **options) -> Field:
    """The field in float64."""
    model = create("model", "diffusers", shape=shape, folder=folder, **options)
    model.double().eval().requires_grad_(False)
    path = create("path", "diffusers", folder=folder)
    return Field(model, path, create("objective", objective))


def x_at(batch: int, shape=SHAPE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *shape, generator=generator, dtype=torch.float64)


class TestUNet(ModelSuite):
    shape = SHAPE

    @pytest.fixture(autouse=True)
    def _folder(self, unet):
        self.folder = unet

    def component(self):
        return create("model", "diffusers", shape=self.shape, folder=self.folder)


class TestUNetWithANullClass(ModelSuite):
    shape = SHAPE
    classes = 4

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        network = UNet2DModel(**UNET, num_class_embeds=5)
        self.folder = saved(tmp_path, network, DDPM)

    def component(self):
        return create("model", "diffusers", shape=self.shape, folder=self.folder, null_class=True)


class TestDiTOfLearnedVariance(ModelSuite):
    shape = (4, 8, 8)
    classes = 5

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        network = DiTTransformer2DModel(**DIT, out_channels=8)
        self.folder = saved(tmp_path, network, DDIMScheduler(clip_sample=False), "transformer")

    def component(self):
        return create("model", "diffusers", shape=self.shape, folder=self.folder)


def alpha_bar(scheduler) -> torch.Tensor:
    """alpha_bar from the scheduler's own betas, multiplied in float64."""
    return (1 - scheduler.betas.double()).cumprod(0)


def test_the_velocity_is_the_closed_form_of_the_noise(unet):
    """At tau, by hand: x1 = (x - sigma eps) / alpha, and d/dt of alpha x1 + sigma eps."""
    field = made(unet)
    network = UNet2DModel.from_pretrained(unet, subfolder="unet").double().eval()
    x = x_at(4)
    tau = torch.tensor([10, 300, 700, 990])
    t = 1 - (tau.double() + 1) / 1000
    with torch.no_grad():
        eps = network(x, tau).sample
    # d log alpha / dt by finite differences of the schedule, independent of the path's code
    log_alpha = alpha_bar(DDPMScheduler()).log() / 2
    d_log_alpha = -1000 * (log_alpha[tau + 1] - log_alpha[tau - 1]) / 2
    alpha = log_alpha[tau].exp()
    sigma = (1 - alpha**2).sqrt()
    rows = [v.reshape(-1, 1, 1, 1) for v in (alpha, sigma, alpha * d_log_alpha)]
    alpha, sigma, d_alpha = rows
    x1 = (x - sigma * eps) / alpha
    wanted = d_alpha * x1 - alpha * d_alpha / sigma * eps
    error = (field(x, t) - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    assert error.max() < 1e-4  # finite differences; diffusers embeds time in float32


@pytest.mark.parametrize(
    ("prediction", "objective"),
    [("epsilon", "ddpm"), ("sample", "data"), ("v_prediction", "flow_matching")],
)
def test_every_prediction_gives_the_data_that_diffusers_predicts(
    unet, tmp_path, prediction, objective
):
    shutil.copytree(unet, tmp_path / "as")
    scheduler = DDIMScheduler(prediction_type=prediction, clip_sample=False)
    scheduler.save_pretrained(tmp_path / "as" / "scheduler")
    field = made(str(tmp_path / "as"), objective)
    scheduler.alphas_cumprod = alpha_bar(scheduler)
    scheduler.set_timesteps(1000)
    x = x_at(1)
    for tau in (0, 400, 999):
        t = torch.tensor([1 - (tau + 1) / 1000], dtype=torch.float64)
        raw = field.model.network(x, torch.tensor([tau])).sample
        theirs = scheduler.step(raw, tau, x).pred_original_sample
        ours = field.predict(x, t, target="data")
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def theirs(scheduler, network, x: torch.Tensor, steps: int, **kinds) -> torch.Tensor:
    """The samples of diffusers' own loop from the noise x."""
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        for tau in scheduler.timesteps:
            raw = network(x, tau.to(x.dtype).expand(len(x)), **kinds).sample
            x = scheduler.step(raw, tau, x).prev_sample
    return x


def test_ddim_gives_what_the_ddim_of_diffusers_gives(unet):
    """In float64, from the same noise: equal steps in t are diffusers' `trailing` steps."""
    field = made(unet)
    scheduler = DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
    scheduler.alphas_cumprod = alpha_bar(scheduler)
    x = x_at(2)
    wanted = theirs(scheduler, field.model.network, x, 10)
    solver = create("solver", "ddim", steps=10, grid="uniform")
    ours = solver.solve(Problem(field, x, path=field.path))
    assert ours.stats.nfe.tolist() == [10, 10]
    torch.testing.assert_close(ours.x, wanted, rtol=1e-6, atol=1e-6)


def test_ddim_in_float32_agrees_with_unmodified_diffusers(unet):
    """With diffusers' own alpha_bar and its own embedding of time."""
    model = create("model", "diffusers", shape=SHAPE, folder=unet).eval()
    network = UNet2DModel.from_pretrained(unet, subfolder="unet").eval()
    path = create("path", "diffusers", folder=unet)
    x = x_at(2).float()
    scheduler = DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
    wanted = theirs(scheduler, network, x, 20)
    solver = create("solver", "ddim", steps=20, grid="uniform")
    with torch.no_grad():
        ours = solver.solve(Problem(Field(model, path, create("objective", "ddpm")), x, path=path))
    torch.testing.assert_close(ours.x, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.filterwarnings("ignore:__array__")  # diffusers and numpy 2
@pytest.mark.parametrize(
    ("name", "options", "scheduler"),
    [
        ("dpmpp_2m", {}, DPMSolverMultistepScheduler),
        ("unipc", {"p": 2}, UniPCMultistepScheduler),
    ],
)
def test_multistep_solvers_give_what_those_of_diffusers_give(unet, name, options, scheduler):
    field = made(unet)
    own = scheduler(timestep_spacing="trailing", final_sigmas_type="zero", solver_order=2)
    own.alphas_cumprod = alpha_bar(own)
    x = x_at(2)
    wanted = theirs(own, field.model.network, x, 10)
    solver = create("solver", name, steps=10, grid="uniform", **options)
    ours = solver.solve(Problem(field, x, path=field.path)).x
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


def test_a_flow_matching_scheduler_gives_the_linear_path_and_the_negative_output(unet, tmp_path):
    shutil.copytree(unet, tmp_path / "flow")
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.save_pretrained(tmp_path / "flow" / "scheduler")
    field = made(str(tmp_path / "flow"), "flow_matching")
    x = x_at(2)
    wanted = theirs(scheduler, field.model.network, x, 8)
    times = [1 - float(s) for s in scheduler.sigmas]
    solver = create("solver", "euler", grid=times)
    ours = solver.solve(Problem(field, x, path=field.path)).x
    torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-5)


def test_labels_reach_a_dit_and_its_variance_is_left_out(tmp_path):
    network = DiTTransformer2DModel(**DIT, out_channels=8)
    folder = saved(tmp_path, network, DDIMScheduler(clip_sample=False), "transformer")
    model = create("model", "diffusers", shape=(4, 8, 8), folder=folder).eval()
    x, label = x_at(2, (4, 8, 8)).float(), torch.tensor([3, -1])
    ours = model(x, torch.tensor([0.5, 0.5]), {"label": label})
    null = torch.tensor([3, 5])  # DiT's own null class comes after its five
    with torch.no_grad():
        wanted = network.eval()(x, torch.tensor([499, 499]), class_labels=null).sample[:, :4]
    torch.testing.assert_close(ours, wanted, rtol=1e-3, atol=1e-3)
    assert model.classes == 5


def test_the_time_input_stops_at_the_last_step_of_training(unet):
    time_input = create("model", "diffusers", shape=SHAPE, folder=unet).trained.time_input
    t = torch.tensor([0.0, 0.5, 0.999, 0.9995, 1.0], dtype=torch.float64)
    torch.testing.assert_close(
        time_input(t), torch.tensor([999.0, 499, 0, 0, 0], dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_old_names_of_attention_layers_are_renamed_as_diffusers_does(copy):
    file = copy / "unet" / WEIGHTS
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    tensors = {}
    for name, value in load_file(file).items():
        for new, was in old.items():
            name = name.replace(new, was)
        tensors[name] = value
    save_file(tensors, file, {"format": "pt"})
    model = create("model", "diffusers", shape=SHAPE, folder=str(copy))
    reference = UNet2DModel.from_pretrained(copy, subfolder="unet")
    for name, value in reference.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], value), name


def test_weights_of_torch_save_are_read_without_a_safetensors_file(copy):
    home = copy / "unet"
    before = create("model", "diffusers", shape=SHAPE, folder=str(copy)).state_dict()
    torch.save(load_file(home / WEIGHTS), home / "diffusion_pytorch_model.bin")
    (home / WEIGHTS).unlink()
    after = create("model", "diffusers", shape=SHAPE, folder=str(copy))
    assert all(torch.equal(after.state_dict()[k], v) for k, v in before.items())
    assert after.pretrained.weights.startswith("diffusion_pytorch_model.bin, sha256 ")


def rewritten(file: Path, **changes) -> None:
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, **changes}))


def refused(folder: Path, **options) -> str:
    """The message of the error, with the folder replaced."""
    with pytest.raises((DataError, ComponentError, CheckpointError)) as caught:
        create("model", "diffusers", folder=str(folder), **{"shape": SHAPE, **options})
    return str(caught.value).replace(str(folder), "FOLDER")


class Trap:
    """Writes a file if a pickle of it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_a_pickle_that_would_execute_code_is_refused(copy, tmp_path):
    (copy / "unet" / WEIGHTS).unlink()
    file = copy / "unet" / "diffusion_pytorch_model.bin"
    torch.save({"conv_in.weight": Trap(tmp_path / "sprung")}, file)
    assert "holds more than tensors, or is corrupt; refused" in refused(copy)
    file.write_bytes(pickle.dumps({"conv_in.weight": Trap(tmp_path / "sprung")}))
    assert "corrupt, or not written by torch.save" in refused(copy)
    assert not (tmp_path / "sprung").exists()


def test_missing_files_are_named_in_the_error(copy, tmp_path):
    assert refused(tmp_path / "none") == (
        "no folder FOLDER: set model.folder=PATH to the folder of the network"
    )
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty").startswith(
        "FOLDER: no config.json in it, nor in unet/ or transformer/"
    )
    (copy / "scheduler" / "scheduler_config.json").rename(copy / "elsewhere.json")
    assert "no scheduler_config.json in it, in its subfolder scheduler" in refused(copy)
    create("model", "diffusers", shape=SHAPE, folder=str(copy), scheduler=copy / "elsewhere.json")
    (copy / "elsewhere.json").rename(copy / "scheduler" / "scheduler_config.json")
    (copy / "unet" / WEIGHTS).unlink()
    assert refused(copy) == f"FOLDER/unet: no {WEIGHTS} in it"


def test_corrupt_files_are_named_in_the_error(copy):
    file = copy / "unet" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])
    assert refused(copy).startswith(f"FOLDER/unet/{WEIGHTS}: corrupt, or not a safetensors file")
    (copy / "unet" / "config.json").write_text("{")
    assert refused(copy).startswith("FOLDER/unet/config.json: corrupt, or not JSON")


def test_weights_of_another_network_are_refused(copy):
    file = copy / "unet" / WEIGHTS
    tensors = load_file(file)
    save_file({k: v for k, v in tensors.items() if k != "conv_in.bias"}, file)
    assert refused(copy) == (
        f"FOLDER/unet/{WEIGHTS}: the weights are of another network: 1 tensors do not fit, "
        "the first is 'conv_in.bias'"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "UNet3DModel"}, "_class_name is 'UNet3DModel'; networks that can be read"),
        ({"time_embedding_type": "fourier"}, "time_embedding_type is 'fourier'"),
        ({"class_embed_type": "identity"}, "class_embed_type is 'identity'"),
        ({"out_channels": 5}, "out_channels = 5 is neither in_channels = 3 nor twice"),
        ({"in_channels": 4}, "takes images of 4 channels; the data have shape (3, 8, 8)"),
        (
            {"new_option": 7},
            "new_option = 7 is no option of UNet2DModel in the installed diffusers",
        ),
        ({"down_block_types": ["NoBlock", "NoBlock"]}, "diffusers cannot build its UNet2DModel"),
        ({"norm_num_groups": 5}, "diffusers cannot build its UNet2DModel"),
    ],
)
def test_configurations_that_are_no_velocity_field_are_refused(copy, changes, message):
    rewritten(copy / "unet" / "config.json", **changes)
    assert f"FOLDER/unet/config.json: {message}" in refused(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "ScoreSdeVeScheduler"}, "_class_name is 'ScoreSdeVeScheduler'"),
        ({"beta_schedule": "sigmoid"}, 'beta_schedule is "sigmoid"; schedules that are known: li'),
        ({"prediction_type": "velocity"}, 'prediction_type is "velocity"; a DDPMScheduler with'),
        ({"prediction_type": ["epsilon"]}, 'prediction_type is ["epsilon"]; a DDPMScheduler'),
        ({"prediction_type": "flow"}, 'prediction_type is "flow"; a DDPMScheduler'),
        ({"beta_end": 2.0}, "DiscreteVP: beta_end must be < 1, got 2.0"),
        ({"beta_end": "large"}, 'beta_end must hold numbers, got "large"'),
        ({"num_train_timesteps": "many"}, 'num_train_timesteps must be a positive integer, got "m'),
        ({"num_train_timesteps": 0}, "num_train_timesteps must be a positive integer, got 0"),
        ({"trained_betas": 5}, "trained_betas must be a list of numbers, got 5"),
        ({"trained_betas": [None]}, "trained_betas must hold numbers, got null"),
        ({"timestep_type": "continuous"}, 'timestep_type is "continuous"'),
    ],
)
def test_schedules_that_are_not_known_are_refused(copy, changes, message):
    rewritten(copy / "scheduler" / "scheduler_config.json", **changes)
    assert f"FOLDER/scheduler/scheduler_config.json: {message}" in refused(copy)


def test_images_that_do_not_divide_by_the_downsampling_are_refused(unet):
    assert "multiples of 2; the data have shape (3, 7, 8)" in refused(Path(unet), shape=(3, 7, 8))


def test_rows_without_a_class_are_refused_if_there_is_no_null_class(tmp_path):
    network = UNet2DModel(**UNET, num_class_embeds=5)
    folder = saved(tmp_path, network, DDPM)
    model = create("model", "diffusers", shape=SHAPE, folder=folder).eval()
    x, t = x_at(2).float(), torch.tensor([0.2, 0.4])
    with pytest.raises(ComponentError, match="has no null class"):
        model(x, t)
    with torch.no_grad():
        assert model(x, t, {"label": torch.tensor([0, 4])}).shape == x.shape


def test_the_recipe_of_the_page_runs(unet, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "pretrained.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n# pretrained.yaml\n")[2].partition("```")[0]
    assert "folder: /models/ddpm-cifar10-32" in text
    recipe = tmp_path / "pretrained.yaml"
    recipe.write_text(text.replace("/models/ddpm-cifar10-32", unet))
    monkeypatch.chdir(tmp_path)
    small = ("data.image_size=8", "sample.count=2", "sample.solver.nfe=3")
    made = fmcore.run(recipe, small, out=tmp_path / "run", quiet=True)
    assert made.samples(2).shape == (2, *SHAPE)
    assert made.nfe() == [3, 3]
    along = TrainedProblem(made.folder, tmp_path, torch.device("cpu")).own_path
    assert str(along) == f"diffusers(folder={unet})"  # as a benchmark's table calls it


def test_the_shipped_recipe_requires_the_folder_alone(unet):
    shipped = fmcore.load_recipe("pretrained", (f"model.folder={unet}",))
    assert shipped.values["path"]["folder"] == unet
    with pytest.raises(RecipeError, match=r"model.folder must be given: add model.folder="):
        dry_run(fmcore.load_recipe("pretrained", partial=True))


def scheduled(unet: str, folder: Path, scheduler) -> str:
    """A copy of the pipeline `unet` with another scheduler."""
    shutil.copytree(unet, folder)
    scheduler.save_pretrained(folder / "scheduler")
    return str(folder)


def rms(a: torch.Tensor, b: torch.Tensor) -> float:
    """The root mean square of the difference, relative to that of b."""
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


FLOW_STEPS = [
    ({}, {}),
    ({"shift": 3.0}, {}),
    ({"shift_terminal": 0.1}, {}),
    ({"use_dynamic_shifting": True}, {"mu": 0.8}),
    ({"use_dynamic_shifting": True, "time_shift_type": "linear"}, {"mu": 2.0}),
    ({"use_karras_sigmas": True}, {}),
    ({"use_exponential_sigmas": True}, {}),
    ({"use_beta_sigmas": True}, {}),
    ({"invert_sigmas": True}, {}),
    ({"invert_sigmas": True, "shift": 3.0}, {}),
]


@pytest.mark.filterwarnings("ignore:.*places the steps of diffusers")
@pytest.mark.parametrize(("options", "mu"), FLOW_STEPS)
def test_on_the_steps_of_a_flow_scheduler_euler_gives_its_samples(unet, tmp_path, options, mu):
    """Every option that places steps: the field is the same, and the steps are a grid."""
    scheduler = FlowMatchEulerDiscreteScheduler(**options)
    field = made(scheduled(unet, tmp_path / "flow", scheduler), "flow_matching")
    scheduler.set_timesteps(6, **mu)
    x = wanted = x_at(2)
    with torch.no_grad():
        for time in scheduler.timesteps:
            raw = field.model.network(wanted, time.double().expand(2)).sample
            wanted = scheduler.step(raw, time, wanted).prev_sample
    sigmas = scheduler.sigmas.double()
    grid = (sigmas if options.get("invert_sigmas") else 1 - sigmas).tolist()
    problem = Problem(field, x, grid[0], grid[-1], path=field.path)
    assert rms(create("solver", "euler", grid=grid).solve(problem).x, wanted) < 1e-5


BETA_STEPS = [
    {"timestep_spacing": "linspace"},
    {"timestep_spacing": "leading"},
    {"timestep_spacing": "leading", "steps_offset": 1},
    {"timestep_spacing": "trailing"},
    {"final_sigmas_type": "sigma_min"},
    {"interpolation_type": "log_linear"},
    {"use_karras_sigmas": True},
    {"use_exponential_sigmas": True},
    {"use_beta_sigmas": True},
    {
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
        "prediction_type": "v_prediction",
    },
    {"beta_schedule": "scaled_linear"},
    {"beta_schedule": "squaredcos_cap_v2"},
    {"prediction_type": "v_prediction"},
]


@pytest.mark.filterwarnings("ignore:.*places the steps of diffusers", "ignore:__array__")
@pytest.mark.parametrize("options", BETA_STEPS)
def test_on_the_steps_of_a_beta_scheduler_ddim_gives_its_samples(unet, tmp_path, options):
    """EulerDiscreteScheduler is DDIM for x sqrt(1 + sigma^2), with sigma = noise over data."""
    scheduler = EulerDiscreteScheduler(**options)
    objective = "flow_matching" if "prediction_type" in options else "ddpm"
    field = made(scheduled(unet, tmp_path / "betas", scheduler), objective)
    scheduler.set_timesteps(6)
    sigmas = scheduler.sigmas.double()
    x = x_at(2)
    wanted = x * (1 + sigmas[0] ** 2).sqrt()
    with torch.no_grad():
        for time in scheduler.timesteps:
            scaled = scheduler.scale_model_input(wanted, time)
            raw = field.model.network(scaled, time.double().expand(2)).sample
            wanted = scheduler.step(raw, time, wanted).prev_sample
    wanted = wanted / (1 + sigmas[-1] ** 2).sqrt()
    grid = field.path.inverse_log_snr(-2 * sigmas.log()).unique().tolist()
    if "rescale_betas_zero_snr" in options:
        grid[0] = 0.0  # diffusers replaces the infinite sigma by 4096
    problem = Problem(field, x, grid[0], grid[-1], path=field.path)
    assert rms(create("solver", "ddim", grid=grid).solve(problem).x, wanted) < 1e-2


@pytest.mark.parametrize("last_is_clean", [True, False])
@pytest.mark.parametrize("offset", [0, 1])
def test_on_leading_steps_ddim_gives_the_samples_of_diffusers(
    unet, tmp_path, offset, last_is_clean
):
    """`timestep_spacing`, `steps_offset` and `set_alpha_to_one` of the DDIM scheduler."""
    scheduler = DDIMScheduler(
        clip_sample=False, steps_offset=offset, set_alpha_to_one=last_is_clean
    )
    field = made(scheduled(unet, tmp_path / "leading", scheduler))
    scheduler.alphas_cumprod = alpha_bar(scheduler)
    if not last_is_clean:
        scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    wanted = theirs(scheduler, field.model.network, x_at(2), 5)
    grid = [1 - (float(tau) + 1) / 1000 for tau in scheduler.timesteps]
    end = 1.0 if last_is_clean else 1 - 1 / 1000
    grid += [end] if grid[-1] < end else []  # the last step can be empty
    problem = Problem(field, x_at(2), grid[0], grid[-1], path=field.path)
    assert rms(create("solver", "ddim", grid=grid).solve(problem).x, wanted) < 1e-6


@pytest.mark.filterwarnings("ignore:__array__", "ignore:.*places the steps of diffusers")
@pytest.mark.parametrize(
    ("prediction", "objective"),
    [("epsilon", "ddpm"), ("sample", "data"), ("flow_prediction", "flow_matching")],
)
def test_every_prediction_along_flow_sigmas_gives_the_samples_of_diffusers(
    unet, tmp_path, prediction, objective
):
    """DPM-Solver++ of order 1 is DDIM; `flow_shift` moves its steps."""
    scheduler = DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type=prediction, solver_order=1, flow_shift=2.0
    )
    field = made(scheduled(unet, tmp_path / "flow", scheduler), objective)
    scheduler.set_timesteps(6)
    sigmas = scheduler.sigmas.double()
    wanted = x_at(2)
    with torch.no_grad():
        for time, sigma in zip(scheduler.timesteps, sigmas, strict=False):
            # the scheduler rounds the time to an integer; the network is given the exact one
            raw = field.model.network(wanted, (1000 * sigma).expand(2)).sample
            wanted = scheduler.step(raw, time, wanted).prev_sample
    grid = (1 - sigmas).tolist()
    problem = Problem(field, x_at(2), grid[0], grid[-1], path=field.path)
    assert rms(create("solver", "ddim", grid=grid).solve(problem).x, wanted) < 1e-4


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (DDPMScheduler(), "clip_sample = true clips every prediction of the data"),
        (DDIMScheduler(), "clip_sample = true clips every prediction of the data"),
        (
            DPMSolverMultistepScheduler(thresholding=True),
            "thresholding = true clips every prediction of the data to a quantile",
        ),
        (
            FlowMatchEulerDiscreteScheduler(stochastic_sampling=True),
            "stochastic_sampling = true draws fresh noise in every step",
        ),
    ],
)
def test_options_that_no_solver_applies_are_refused_unless_ignored(
    unet, tmp_path, scheduler, message
):
    folder = scheduled(unet, tmp_path / "as", scheduler)
    name = message.partition(" ")[0]
    text = refused(Path(folder))
    assert f"scheduler_config.json: {message}" in text
    assert text.endswith(f"set model.ignore=[{name}] to sample without it")
    create("model", "diffusers", shape=SHAPE, folder=folder, ignore=[name])


def test_unknown_options_of_a_scheduler_are_refused_unless_unset_or_ignored(copy):
    file = copy / "scheduler" / "scheduler_config.json"
    rewritten(file, new_option=None, other_option=False)
    create("model", "diffusers", shape=SHAPE, folder=str(copy))
    rewritten(file, new_option=0.5)
    assert "scheduler_config.json: new_option = 0.5 is not known to fmcore" in refused(copy)
    create("model", "diffusers", shape=SHAPE, folder=str(copy), ignore=["new_option"])
    assert refused(copy, ignore=["new_option", "no_option"]).endswith("has no option 'no_option'")


@pytest.mark.parametrize("name", sorted(DISCRETE | FLOW))
def test_every_option_of_every_supported_scheduler_is_known(name):
    """A new option of a later diffusers fails here, and is refused where it is set."""
    options = set(inspect.signature(getattr(diffusers, name).__init__).parameters) - {"self"}
    assert options - READ - STEP_PLACEMENT - METHOD - set(NOT_APPLIED) == set()


def test_step_options_that_differ_from_the_default_warn(unet, tmp_path):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_karras_sigmas=True)
    folder = scheduled(unet, tmp_path / "flow", scheduler)
    with pytest.warns(FmcoreWarning, match=r"shift = 3.0.*places the steps of diffusers"):
        create("model", "diffusers", shape=SHAPE, folder=folder)


@pytest.mark.parametrize(
    ("scheduler", "changes", "prediction", "message"),
    [
        (DDPM, {"prediction_type": "flow_prediction"}, None, "allows epsilon, sample, v_predict"),
        (
            DPMSolverMultistepScheduler(use_flow_sigmas=True),
            {"prediction_type": "v_prediction"},
            None,
            "with use_flow_sigmas = true allows epsilon, sample, flow_prediction",
        ),
        (
            FlowMatchEulerDiscreteScheduler(),
            {"prediction_type": "epsilon"},
            None,
            "allows flow_prediction",
        ),
        (DDPM, {}, "flow", "describes betas; only flow matching predicts the flow"),
        (FlowMatchEulerDiscreteScheduler(), {}, "v_prediction", "describes flow matching"),
    ],
)
def test_a_prediction_that_does_not_fit_the_scheduler_is_refused(
    unet, tmp_path, scheduler, changes, prediction, message
):
    folder = Path(scheduled(unet, tmp_path / "as", scheduler))
    rewritten(folder / "scheduler" / "scheduler_config.json", **changes)
    assert message in refused(folder, prediction=prediction)


def test_the_old_option_predict_epsilon_is_read(copy):
    file = copy / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text())
    del config["prediction_type"]
    file.write_text(json.dumps({**config, "predict_epsilon": False}))
    model = create("model", "diffusers", shape=SHAPE, folder=str(copy))
    assert model.pretrained.prediction == "data"
