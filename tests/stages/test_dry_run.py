"""A forecast counts what a run would take, and touches nothing."""

import pytest
import torch

import fmcore
from fmcore import DataError, VectorField, load_recipe
from fmcore.stages import dry_run
from fmcore.stages.dry_run import _one_example


class Linear(VectorField):
    def __init__(self, device):
        super().__init__()
        self.layer = torch.nn.Linear(100, 100, bias=False, device=device)

    def forward(self, x, t, condition=None):
        return self.layer(x)


def test_flops_of_a_linear_map_are_those_of_its_products():
    flops, kept = _one_example(Linear("meta"), (100,))
    # forward and the gradient of the weights; the input needs none
    assert flops == 2 * (2 * 100 * 100)
    assert kept == 100 * 4


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


def test_a_digits_recipe_misses_nothing():
    assert dry_run(load_recipe("digits")).missing == ()
