"""A run with a pretrained network: sampled, measured and benchmarked without `train`."""

from __future__ import annotations

import json

import pytest
import torch

import fmcore
from fmcore import CheckpointError, ComponentError
from fmcore.benchmark.solvers import benchmark
from fmcore.registry import forget, registry

pytestmark = pytest.mark.usefixtures("no_pictures")

PLUGIN = """
import torch
from fmcore import Pretrained, VectorField, create, hookimpl

class Shrink(VectorField):
    '''The noise, exactly, of data that are all at `place`: x = alpha place + sigma noise.'''

    def __init__(self, *, shape: tuple[int, ...], place: float = 2.0, known: bool = True) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.tensor(place))
        self.path = create("path", "ot", sigma_min=0.01)
        if known:
            self.pretrained = Pretrained("shrink.bin, sha256 1234", "noise", self.path)

    def forward(self, x, t, condition=None):
        c = self.path.coefficients(t)
        return (x - c.alpha[:, None] * self.place) / c.sigma[:, None]

@hookimpl
def register_models(register):
    register("shrink", Shrink)
"""

RECIPE = """
data: {name: toy, figure: checkerboard}
path: {name: ot, sigma_min: 0.01}
objective: ddpm
model: shrink
sample: {solver: {name: midpoint, nfe: 8}, count: 8}
evaluate: {metrics: [nfe, energy_distance]}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The file of that recipe, with its network in the registry."""
    file = tmp_path / "shrinking.py"
    file.write_text(PLUGIN)
    forget()
    registry().add_file(file)
    written = tmp_path / "shrinking.yaml"
    written.write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    yield written
    forget()


def test_it_is_sampled_and_measured_as_it_is(recipe, tmp_path):
    run = fmcore.run(recipe, out=tmp_path / "run", quiet=True)
    torch.testing.assert_close(run.samples(8).mean(), torch.tensor(2.0), atol=0.01, rtol=0)
    made = run.results["energy_distance"]["provenance"]
    assert made["weights"] == made["sampler"]["weights"] == "shrink.bin, sha256 1234"
    assert run.results["energy_distance"]["origin"]["step"] == 0
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_it_is_benchmarked(recipe, tmp_path):
    run = fmcore.run(recipe, ("evaluate=null",), out=tmp_path / "run", quiet=True)
    axes = ("solver=ddim,euler", "nfe=4", "samples=4")
    made = benchmark(run.folder.root, axes, out=tmp_path / "bench", repeats=1, quiet=True)
    facts = json.loads((made.folder / "benchmark.json").read_text())
    assert "shrink.bin, sha256 1234" in json.dumps(facts)
    assert len(list((tmp_path / "bench" / "references").glob("*.safetensors"))) == 1
    assert (made.folder / "cells.csv").read_text().count("shrinking@0") == 2


def test_with_train_it_starts_from_its_weights(recipe, tmp_path):
    steps = ("train={steps: 1, batch_size: 4, lr: 1e-9, ema: null}", "evaluate=null")
    run = fmcore.run(recipe, steps, out=tmp_path / "run", quiet=True)
    assert float(run.field().model.place) == pytest.approx(2.0, abs=1e-6)
    assert run.folder.checkpoints.steps() == [1]


def test_an_objective_that_reads_another_quantity_is_refused(recipe, tmp_path):
    with pytest.raises(
        ComponentError,
        match="Shrink was trained to give noise, and objective FlowMatching reads velocity: "
        "use objective 'ddpm'",
    ):
        fmcore.run(recipe, ("objective=flow_matching",), out=tmp_path / "run", quiet=True)


def test_another_path_is_refused_and_one_to_rounding_the_same_is_not(recipe, tmp_path):
    with pytest.raises(
        ComponentError, match=r"Shrink was trained along OTPath.*the path is VPPath"
    ):
        fmcore.run(recipe, ("path=vp",), out=tmp_path / "vp", quiet=True)
    fmcore.run(recipe, ("path.sigma_min=0.0101",), out=tmp_path / "near", quiet=True)


def test_it_can_be_sampled_along_another_path(recipe, tmp_path):
    run = fmcore.run(recipe, ("sample.path=cosine",), out=tmp_path / "run", quiet=True)
    torch.testing.assert_close(run.samples(8).mean(), torch.tensor(2.0), atol=0.1, rtol=0)


def test_a_network_without_weights_of_its_own_still_has_to_be_trained(recipe, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint yet: train first"):
        fmcore.run(recipe, ("model.known=false",), out=tmp_path / "run", quiet=True)
