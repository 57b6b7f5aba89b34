"""A forecast counts what a run would take, and touches nothing."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import fmcore
from fmcore import DataError, VectorField, load_recipe
from fmcore.stages import dry_run
from fmcore.stages.dry_run import _one_example
from fmcore.stages.probe import fit_of


class Linear(VectorField):
    def __init__(self, device):
        super().__init__()
        self.layer = torch.nn.Linear(100, 100, bias=False, device=device)

    def forward(self, x, t, condition=None):
        return self.layer(x)


def test_flops_of_a_linear_map_are_those_of_its_products():
    counter = FlopCounterMode(display=False)
    kept = _one_example(Linear("meta"), (100,), observer=counter)
    # forward and the gradient of the weights; the input needs none
    assert counter.get_total_flops() == 2 * (2 * 100 * 100)
    assert kept == 100 * 4


class Chain(VectorField):
    """`count` parts, each of which keeps three activations, or recomputes them."""

    def __init__(self, count, recompute):
        super().__init__()
        self.count, self.recompute = count, recompute

    def part(self, x):
        return x.tanh().sigmoid().tanh()  # each keeps what it gives

    def forward(self, x, t, condition=None):
        x = x.clone().requires_grad_()
        for _ in range(self.count):
            x = checkpoint(self.part, x, use_reentrant=False) if self.recompute else self.part(x)
        return x


def test_recomputed_activations_are_held_one_part_at_a_time():
    def kept(count, recompute):
        return _one_example(Chain(count, recompute), (100,)) / 400

    assert kept(5, False) == 1 + 5 * 3  # what enters, and all that follows
    # what enters each part, and what one part makes again: its last is not needed for that
    assert [kept(n, True) for n in (5, 9)] == [5 + 3, 9 + 3]


def test_a_network_that_recomputes_is_forecast_with_less_memory_and_more_work():
    recipe = load_recipe("cifar10", partial=True)
    again = recipe.override(["model.recompute=true"])
    kept, recomputed = dry_run(recipe), dry_run(again)
    assert recomputed.activation_bytes < 0.75 * kept.activation_bytes
    assert 1.2 < recomputed.flops_per_step / kept.flops_per_step < 1.4
    assert recomputed.parameters == kept.parameters


def test_a_tracker_that_is_not_installed_is_missing(tiny, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    forecast = dry_run(load_recipe(tiny, ["train.trackers=[wandb]"]), device="cpu")
    assert any("pip install wandb" in line for line in forecast.missing)


def test_imagenet64_is_forecast_without_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forecast = dry_run(load_recipe("imagenet64", partial=True))
    assert forecast.parameters == pytest.approx(295.1e6, rel=1e-3)
    assert forecast.state_bytes == forecast.parameters * 5 * 4
    # ADM's 64x64 network takes about 104 GFLOP (multiply-add) forward; backward twice that
    assert 1e11 < forecast.flops_per_step / 2048 / 2 / 3 < 1.2e11
    assert forecast.missing[0] == "data.root must be given: add data.root=… to the command line"
    assert any("Inception" in line for line in forecast.missing)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_whose_data_is_not_there_fails_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="nowhere"):
        fmcore.run("imagenet64", ("data.root=/nowhere", "evaluate=null"), quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_missing_for_the_digits_recipe():
    assert dry_run(load_recipe("digits")).missing == ()


def test_a_probe_times_a_step_and_writes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forecast = dry_run(load_recipe(tiny), device="cpu", probe=True)
    assert 0 < forecast.time.seconds < 1
    assert forecast.fit.fits
    assert any("s a step over 10 steps" in line for line in forecast.lines())
    assert list(tmp_path.iterdir()) == [tiny]


def test_a_step_that_would_take_too_long_is_not_tried():
    forecast = dry_run(load_recipe("digits", ["train.batch_size=262144"]), device="cpu", probe=True)
    assert forecast.time is None or forecast.time.seconds is None


def test_what_does_not_fit_is_reported_with_the_accumulation_that_would(monkeypatch):
    monkeypatch.setattr("fmcore.stages.probe._memory", lambda device: 1000)
    fit = fit_of(state=200, kept=100, batch=12, micro=12, device=torch.device("cpu"))
    assert (fit.needed, fit.fits, fit.accumulate) == (1400, False, 2)
    assert fit.line().endswith("does not fit; train.grad_accum=2 would")
    hopeless = fit_of(state=2000, kept=1, batch=12, micro=12, device=torch.device("cpu"))
    assert hopeless.line().endswith("any train.grad_accum; use a smaller network")


def test_a_run_that_cannot_fit_is_refused_before_its_folder_is_made(tiny, tmp_path, monkeypatch):
    with pytest.raises(
        fmcore.ComponentError, match=r"not enough memory: .* needed, .* on this cpu"
    ):
        fmcore.run(tiny, ("train.batch_size=200000000000",), out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_an_estimate_that_may_be_too_high_refuses_nothing(tiny, tmp_path, monkeypatch):
    cost = dry_run(load_recipe(tiny), device="cpu")
    memory = cost.state_bytes + cost.activation_bytes // 3  # bf16 and fusion may need as little
    options = ("train.steps=1", "sample=null", "evaluate=null")
    monkeypatch.setattr("fmcore.stages.probe._memory", lambda device: memory)
    fmcore.run(tiny, options, out=tmp_path / "run", device="cpu", quiet=True)


def test_a_network_that_cannot_be_built_leaves_no_folder(tmp_path):
    recipe = load_recipe(
        {
            "data": "digits",
            "path": "ot",
            "model": {
                "name": "unet",
                "channels": 96,
                "depth": 1,
                "channel_mult": [1],
                "head_channels": 64,
                "attention_resolutions": [8],
            },
            "train": {"steps": 1},
        }
    )
    with pytest.raises(fmcore.FmcoreError, match="96 channels do not divide into heads of 64"):
        fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_latents_without_the_codec_are_forecast_by_their_shape():
    recipe = load_recipe("imagenet256_sit", partial=True)
    forecast = dry_run(recipe)
    # the parameters of SiT-B/2 (arXiv 2401.08740, table 1: 130 M)
    assert round(forecast.parameters / 1e6) == 130
    assert any(text.startswith("codec.folder must be given") for text in forecast.missing)
    elsewhere = dry_run(recipe.override(["codec.folder=no-such-folder"]))
    assert any("no-such-folder: no config.json in it" in text for text in elsewhere.missing)
    with pytest.raises(fmcore.RecipeError, match=r"codec\.folder must be given"):
        dry_run(recipe.override(["codec.latents=null"]))
